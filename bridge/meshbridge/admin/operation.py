"""What can be asked through the admin socket: a question of a type, answered with JSON."""

from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeVar

import msgspec

from meshbridge.errors import MeshbridgeError

LARGEST_QUESTION: Final = 64 * 1024
LARGEST_ANSWER: Final = 64 * 1024 * 1024

Code = Literal[1, 2]
"""What a command that hears of a refusal ends with: 1, the answer is no; 2, wrong use."""

Operation = Callable[[bytes], Awaitable[bytes]]
"""Takes the question as JSON and gives the answer as JSON; raises AdminRefusal."""

_Question = TypeVar("_Question", bound=msgspec.Struct)


class AdminRefusal(MeshbridgeError):  # noqa: N818 - it says what happened
    """What was asked is refused; the message is one line for whoever typed the command."""

    def __init__(self, reason: str, code: Code = 1) -> None:
        """Keep the reason, and the exit code of the command."""
        super().__init__(reason)
        self.reason = reason
        self.code: Code = code


def operation(
    question: type[_Question], work: Callable[[_Question], Awaitable[object]]
) -> Operation:
    """Return the operation that does the work with a validated question.

    ``question`` is a :class:`msgspec.Struct`; give it ``forbid_unknown_fields=True``, or a newer
    command's option would be ignored in silence. ``work`` returns anything that msgspec encodes,
    and raises AdminRefusal. It is cancelled when whoever asked has gone (Ctrl-C, a time limit) and
    when the bridge ends, so what it changes it must change between two awaits, or to the end all
    the same (:func:`meshbridge.apart.to_the_end`).
    """
    decoder = msgspec.json.Decoder(question)

    async def answer(raw: bytes) -> bytes:
        try:
            asked = decoder.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise AdminRefusal(f"the question cannot be read: {error}", 2) from None
        return msgspec.json.encode(await work(asked))

    return answer
