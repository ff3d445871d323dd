"""Loads the descriptor set into a pool of our own, once, when a message is first asked for.

A private pool cannot clash with other packages that carry the same ``.proto`` files in protobuf's default pool. Its
classes are not theirs, though: a ``google.protobuf.Duration`` of the default pool is refused as a field of our messages.
"""

from collections.abc import Callable
from functools import cache
from importlib.resources import files

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass


@cache
def private_pool() -> DescriptorPool:
    """Return the pool of every message we speak: what ``json_format`` wants as ``descriptor_pool``."""
    data = files("meshbridge.protos").joinpath("gen", "descriptors.binpb").read_bytes()
    pool = DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


def message_class(full_name: str) -> type[Message]:
    """Return the class of a message by its full name, such as ``envoy.config.cluster.v3.Cluster``.

    Raises:
        KeyError: no such message is in the descriptor set.
    """
    return GetMessageClass(private_pool().FindMessageTypeByName(full_name))


def members(file_name: str, namespace: dict[str, object]) -> Callable[[str], object]:
    """Return a module's ``__getattr__``, which finds the file's messages, enums and enum values and keeps them.

    It raises AttributeError for a name that the file does not define, as a module does.
    """

    def find(name: str) -> object:
        file = private_pool().FindFileByName(file_name)
        found: object
        if name == "DESCRIPTOR":
            found = file
        elif name in file.message_types_by_name:
            found = GetMessageClass(file.message_types_by_name[name])
        elif name in file.enum_types_by_name:
            found = EnumTypeWrapper(file.enum_types_by_name[name])
        else:
            for enum in file.enum_types_by_name.values():
                if name in enum.values_by_name:
                    found = enum.values_by_name[name].number
                    break
            else:
                message = f"module {namespace['__name__']!r} has no attribute {name!r}"
                raise AttributeError(message, name=name)
        namespace[name] = found
        return found

    return find
