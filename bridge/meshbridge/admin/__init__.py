"""The admin socket: what commands ask of a running bridge, over a Unix socket of its owner's.

Light to import: the server and the client stand in modules of their own.
"""

from meshbridge.admin.operation import AdminRefusal, Operation, operation

__all__ = ["AdminRefusal", "Operation", "operation"]
