"""Loads the descriptor set into a pool of our own, once, when a message is first asked for.

A private pool cannot clash with other packages that carry the same ``.proto`` files in protobuf's
default pool. Its classes are not theirs, though: a ``google.protobuf.Duration`` of the default
pool is refused as a field of our messages.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

DESCRIPTORS = Path(__file__).with_name("gen") / "descriptors.binpb"


@cache
def private_pool() -> DescriptorPool:
    """Return the pool of all our messages: what ``json_format`` wants as ``descriptor_pool``."""
    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


def message_class(full_name: str) -> type[Message]:
    """Return the class of a message by its full name: ``envoy.config.cluster.v3.Cluster``.

    Raises:
        KeyError: no such message is in the descriptor set.
    """
    return GetMessageClass(private_pool().FindMessageTypeByName(full_name))


def members(file_name: str, namespace: dict[str, object]) -> Callable[[str], object]:
    """Return the ``__getattr__`` of the module that stands for a ``.proto`` file.

    It finds messages, enums and values of enums, and leaves what it found in ``namespace`` (the
    module's globals), so that it is asked once per name. For a name that the file does not define
    it raises AttributeError, as a module does.
    """

    def find(name: str) -> object:
        found = _member(private_pool().FindFileByName(file_name), name)
        if found is None:
            module = namespace["__name__"]
            raise AttributeError(f"module {module!r} has no attribute {name!r}", name=name)
        namespace[name] = found
        return found

    return find


def _member(file: FileDescriptor, name: str) -> object:
    """Return what a generated module would hold under this name, or None."""
    if name == "DESCRIPTOR":
        return file
    if message := file.message_types_by_name.get(name):
        return GetMessageClass(message)
    if enum := file.enum_types_by_name.get(name):
        return EnumTypeWrapper(enum)
    for enum in file.enum_types_by_name.values():
        if value := enum.values_by_name.get(name):
            return value.number
    return None
