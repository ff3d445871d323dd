"""Makes at build time one descriptor set of every message we speak, and typed modules for it.

Envoy's descriptors come from the xds-protos package, Istio's from the ``.proto`` files beside this
one. Both are build requirements only: at run time xds-protos is untyped, and its files collide
with googleapis-common-protos, with OpenTelemetry's namespace and with Envoy's own wheel.
What is made stands in ``gen/``, which is never committed:

* ``descriptors.binpb``: the set, dependencies first, without the options of others' generators;
* one small module per ``.proto`` file, which looks its messages up in the private pool when asked;
* beside each a ``.pyi`` by mypy-protobuf, so that type checkers see every field.
"""

import importlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from google.protobuf import descriptor, descriptor_pb2
from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "meshbridge.protos.gen"
MODULE = '''\
"""The messages of {name}, from the private pool. Generated: see meshbridge.protos."""

from meshbridge.protos.pool import members

__getattr__ = members("{name}", globals())
'''
PLUGIN = """\
#!{python}
from mypy_protobuf.main import main

main()
"""
ROOTS = (
    "envoy/config/cluster/v3/cluster.proto",
    "envoy/config/endpoint/v3/endpoint.proto",
    "envoy/config/listener/v3/listener.proto",
    "envoy/config/route/v3/route.proto",
    "envoy/extensions/filters/http/router/v3/router.proto",
    "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto",
    "envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.proto",
    "envoy/extensions/transport_sockets/tls/v3/tls.proto",
    "envoy/extensions/upstreams/http/v3/http_protocol_options.proto",
    "envoy/service/discovery/v3/discovery.proto",
    "google/protobuf/any.proto",
    "google/protobuf/duration.proto",
    "google/protobuf/empty.proto",
    "google/protobuf/struct.proto",
    "google/protobuf/timestamp.proto",
    "google/protobuf/wrappers.proto",
)


class ProtosHook(BuildHookInterface[BuilderConfig]):
    """Runs the generation before hatchling collects the files of a wheel or an editable install."""

    PLUGIN_NAME = "custom"

    def initialize(
        self,
        version: str,  # noqa: ARG002 (hatchling's signature)
        build_data: dict[str, object],  # noqa: ARG002 (see above)
    ) -> None:
        """Generate ``gen/`` afresh; an sdist carries the sources only."""
        if self.target_name == "wheel":
            protos = Path(self.root) / "bridge" / "meshbridge" / "protos"
            generate(protos, protos / "gen")


def generate(protos: Path, target: Path) -> None:
    """Replace ``target`` by the descriptor set, the modules and the stubs."""
    files = pruned([*envoy_files(), *own_files(protos)])
    with tempfile.TemporaryDirectory(dir=protos, prefix=".gen-") as scratch:
        fresh = Path(scratch) / "gen"
        write_stubs(files, Path(scratch))
        write_modules(files, fresh)
        data = descriptor_pb2.FileDescriptorSet(file=files).SerializeToString(deterministic=True)
        (fresh / "descriptors.binpb").write_bytes(data)
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)


def envoy_files() -> Iterator[descriptor_pb2.FileDescriptorProto]:
    """Yield Envoy's files and all they import, dependencies first."""
    seen: set[str] = set()

    def visit(file: descriptor.FileDescriptor) -> Iterator[descriptor_pb2.FileDescriptorProto]:
        if file.name in seen:
            return
        seen.add(file.name)
        for dependency in file.dependencies:
            yield from visit(dependency)
        copied = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(copied)
        yield copied

    for root in ROOTS:
        module = importlib.import_module(root.removesuffix(".proto").replace("/", ".") + "_pb2")
        yield from visit(module.DESCRIPTOR)


def own_files(protos: Path) -> Iterable[descriptor_pb2.FileDescriptorProto]:
    """Compile the ``.proto`` files beside this module."""
    sources = sorted(str(each.relative_to(protos)) for each in protos.glob("istio/**/*.proto"))
    with tempfile.NamedTemporaryFile() as out:
        protoc(f"-I{protos}", f"--descriptor_set_out={out.name}", "--include_imports", *sources)
        return descriptor_pb2.FileDescriptorSet.FromString(Path(out.name).read_bytes()).file


def pruned(
    files: Iterable[descriptor_pb2.FileDescriptorProto],
) -> list[descriptor_pb2.FileDescriptorProto]:
    """Drop doubles, foreign options and the imports that only those options needed.

    Dependencies stay first. Raises ValueError for a file that is not proto3: its options would
    have been part of its meaning.
    """
    by_name: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    for file in files:
        by_name.setdefault(file.name, file)
    owners = {name: file.name for file in by_name.values() for name in defined(file)}
    for file in by_name.values():
        strip_options(file)
        wanted = {owners[name] for name in referenced(file)} - {file.name}
        del file.dependency[:], file.public_dependency[:], file.weak_dependency[:]
        file.dependency.extend(sorted(wanted))
    own = (name for name in by_name if name.startswith("istio/"))
    kept = reachable(by_name, [*ROOTS, *own])
    if odd := [file.name for file in kept if file.syntax != "proto3"]:
        raise ValueError(f"These files are not proto3: {', '.join(odd)}")
    return kept


def reachable(
    by_name: dict[str, descriptor_pb2.FileDescriptorProto], roots: Iterable[str]
) -> list[descriptor_pb2.FileDescriptorProto]:
    """Return the roots and what they import, dependencies first."""
    ordered: dict[str, descriptor_pb2.FileDescriptorProto] = {}

    def visit(name: str) -> None:
        if name not in ordered:
            for dependency in by_name[name].dependency:
                visit(dependency)
            ordered[name] = by_name[name]

    for root in roots:
        visit(root)
    return list(ordered.values())


def messages(
    found: Iterable[descriptor_pb2.DescriptorProto], prefix: str
) -> Iterator[tuple[str, descriptor_pb2.DescriptorProto]]:
    """Yield every message, nested ones too, with its full name.

    Names begin with a dot, as the references to types do.
    """
    for message in found:
        name = f"{prefix}.{message.name}"
        yield name, message
        yield from messages(message.nested_type, name)


def defined(file: descriptor_pb2.FileDescriptorProto) -> Iterator[str]:
    """Yield the full names of the messages and enums of a file."""
    package = f".{file.package}"
    yield from (f"{package}.{enum.name}" for enum in file.enum_type)
    for name, message in messages(file.message_type, package):
        yield name
        yield from (f"{name}.{enum.name}" for enum in message.enum_type)


def referenced(file: descriptor_pb2.FileDescriptorProto) -> Iterator[str]:
    """Yield the full names of the types that a file's fields refer to."""
    for _, message in messages(file.message_type, f".{file.package}"):
        yield from (field.type_name for field in message.field if field.type_name)


def strip_options(file: descriptor_pb2.FileDescriptorProto) -> None:
    """Keep the options that change the wire format, and deprecation, which the stubs show.

    Services go too: streams are opened by method name, with bytes.
    """
    file.ClearField("options")
    file.ClearField("source_code_info")
    file.ClearField("extension")
    del file.service[:]
    for enum in file.enum_type:
        strip_enum(enum)
    for _, message in messages(file.message_type, ""):
        map_entry = message.options.map_entry
        message.ClearField("options")
        if map_entry:
            message.options.map_entry = True
        for oneof in message.oneof_decl:
            oneof.ClearField("options")
        for enum in message.enum_type:
            strip_enum(enum)
        for field in message.field:
            strip_field(field)


def strip_enum(enum: descriptor_pb2.EnumDescriptorProto) -> None:
    """Keep only the aliases of an enum, without which it is refused."""
    allow_alias = enum.options.allow_alias
    enum.ClearField("options")
    if allow_alias:
        enum.options.allow_alias = True
    for value in enum.value:
        value.ClearField("options")


def strip_field(field: descriptor_pb2.FieldDescriptorProto) -> None:
    """Keep ``packed`` and ``deprecated`` of a field's options."""
    kept = descriptor_pb2.FieldOptions()
    if field.options.HasField("packed"):
        kept.packed = field.options.packed
    if field.options.deprecated:
        kept.deprecated = True
    field.ClearField("options")
    if kept.ByteSize():
        field.options.CopyFrom(kept)


def write_stubs(files: list[descriptor_pb2.FileDescriptorProto], scratch: Path) -> None:
    """Write the ``.pyi`` files below ``scratch/gen``.

    The paths in the set are prefixed first, and with them the stubs' imports of each other.
    """
    prefix = PACKAGE.replace(".", "/") + "/"
    moved = descriptor_pb2.FileDescriptorSet(file=files)
    for file in moved.file:
        file.name = prefix + file.name
        file.dependency[:] = [prefix + each for each in file.dependency]
    described = scratch / "prefixed.binpb"
    described.write_bytes(moved.SerializeToString())
    out = scratch / "stubs"
    out.mkdir()
    # Not the script of that name: where an isolated build puts it is the build front end's secret.
    plugin = scratch / "protoc-gen-mypy"
    plugin.write_text(PLUGIN.format(python=sys.executable), encoding="utf-8")
    plugin.chmod(0o700)
    protoc(
        f"--descriptor_set_in={described}",
        f"--mypy_out=quiet:{out}",
        f"--plugin={plugin}",
        *(file.name for file in moved.file),
    )
    (out / prefix).rename(scratch / "gen")


def write_modules(files: list[descriptor_pb2.FileDescriptorProto], target: Path) -> None:
    """Write one module per file, and the packages above."""
    for file in files:
        module = target / f"{file.name.removesuffix('.proto')}_pb2.py"
        module.write_text(MODULE.format(name=file.name), encoding="utf-8")
    for folder in (target, *(each for each in target.rglob("*") if each.is_dir())):
        (folder / "__init__.py").touch()


def protoc(*arguments: str) -> None:
    """Run the compiler that grpcio-tools carries."""
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *arguments], check=True)
