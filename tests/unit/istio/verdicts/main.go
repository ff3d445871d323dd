// Command verdicts says what Istio's own validation says of documents.
//
// It reads lines of JSON from standard input, each an object with `kind` and `spec`, and prints the same objects with
// `refused`: whether istiod would refuse the document. Why stands on standard error.
//
//	go run . < verdicts.jsonl > again.jsonl
//
// in a module that requires istio.io/istio in the version that tests/peers/servers/istiod/go.mod names.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	networking "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/validation"
	"istio.io/istio/pkg/log"
)

type document struct {
	Name    string          `json:"name"`
	Kind    string          `json:"kind"`
	Where   string          `json:"where,omitempty"`
	Ours    string          `json:"ours,omitempty"`
	Spec    json.RawMessage `json:"spec"`
	Refused bool            `json:"refused"`
}

func main() {
	options := log.DefaultOptions()
	options.OutputPaths = []string{"stderr"} // warnings go among the lines otherwise
	if err := log.Configure(options); err != nil {
		panic(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for lines.Scan() {
		var each document
		if err := json.Unmarshal(lines.Bytes(), &each); err != nil {
			panic(err)
		}
		err := verdict(each)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", each.Name, err)
		}
		each.Refused = err != nil
		text, err := json.Marshal(each)
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(out, string(text))
	}
}

func verdict(each document) error {
	var spec proto.Message
	var validate validation.ValidateFunc
	switch each.Kind {
	case "VirtualService":
		spec, validate = &networking.VirtualService{}, validation.ValidateVirtualService
	case "DestinationRule":
		spec, validate = &networking.DestinationRule{}, validation.ValidateDestinationRule
	case "WorkloadEntry":
		spec, validate = &networking.WorkloadEntry{}, validation.ValidateWorkloadEntry
	default:
		panic(each.Kind)
	}
	if err := protojson.Unmarshal(each.Spec, spec); err != nil {
		panic(err)
	}
	_, err := validate(config.Config{Meta: config.Meta{Name: "a", Namespace: "shop"}, Spec: spec})
	return err
}
