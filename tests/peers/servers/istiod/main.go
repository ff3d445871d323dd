// Command istiod runs Istio's control plane for the peer tests: without Kubernetes, on loopback.
//
// It is the istiod of the module that go.mod pins, a development version of the main branch. That version's own
// command stops with a nil pointer where there is no Kubernetes client (the ServiceEntry controller asks it for
// namespaces), so this one puts Istio's in-memory client in its place, as Istio's own tests do. Everything that the
// tests look at (configuration over MCP, the store, what proxies are sent) is Istio's code as published.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"istio.io/istio/pilot/pkg/bootstrap"
	"istio.io/istio/pilot/pkg/features"
	"istio.io/istio/pkg/cluster"
	"istio.io/istio/pkg/kube"
	"istio.io/istio/pkg/log"
)

const module = "istio.io/istio"

func main() {
	mesh := flag.String("mesh", "", "file of the mesh configuration")
	debugging := flag.String("http", "", "address of /ready and /debug")
	discovery := flag.String("grpc", "", "address of xDS, without TLS")
	monitoring := flag.String("monitoring", "", "address of /metrics")
	levels := flag.String("log", "default:info", "log levels, as scope:level,...")
	version := flag.Bool("version", false, "print the version of Istio's module and end")
	flag.Parse()

	if *version {
		fmt.Println(istioVersion())
		return
	}
	if err := run(arguments(*mesh, *debugging, *discovery, *monitoring), *levels); err != nil {
		fmt.Fprintln(os.Stderr, "istiod:", err)
		os.Exit(1)
	}
}

func arguments(mesh, debugging, discovery, monitoring string) *bootstrap.PilotArgs {
	return bootstrap.NewPilotArgs(func(args *bootstrap.PilotArgs) {
		args.Namespace = "istio-system"
		args.PodName = "istiod-peer"
		args.MeshConfigFile = mesh
		args.NetworksConfigFile = "/nonexistent"
		args.RegistryOptions.KubeOptions.DomainSuffix = "cluster.local"
		args.RegistryOptions.KubeOptions.ClusterID = cluster.ID(features.ClusterName)
		args.ShutdownDuration = time.Second
		args.ServerOptions = bootstrap.DiscoveryServerOptions{
			HTTPAddr:       debugging,
			GRPCAddr:       discovery,
			MonitoringAddr: monitoring,
			TLSOptions:     bootstrap.TLSOptions{TLSMinVersion: bootstrap.TLSMinVersion1_2},
		}
	})
}

// run serves until SIGTERM or SIGINT.
func run(args *bootstrap.PilotArgs, levels string) error {
	if err := setLevels(levels); err != nil {
		return err
	}
	if err := args.Complete(); err != nil {
		return err
	}
	server, err := bootstrap.NewServer(args, withoutKubernetes)
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	if err := server.Start(stop); err != nil {
		return err
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM)
	<-ended
	close(stop)
	server.WaitUntilCompletion()
	return nil
}

// withoutKubernetes sets the field that only a kubeconfig would set; there is no option for it.
func withoutKubernetes(server *bootstrap.Server) {
	field := reflect.ValueOf(server).Elem().FieldByName("kubeClient")
	reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Set(reflect.ValueOf(kube.NewFakeClient()))
}

func setLevels(levels string) error {
	options := log.DefaultOptions()
	for _, each := range strings.Split(levels, ",") {
		scope, level, ok := strings.Cut(each, ":")
		if !ok {
			return fmt.Errorf("-log: %q is not scope:level", each)
		}
		options.SetDefaultOutputLevel(scope, log.StringToLevel(level))
	}
	return log.Configure(options)
}

func istioVersion() string {
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range build.Deps {
			if dependency.Path == module {
				return dependency.Version
			}
		}
	}
	return "unknown"
}
