"""What istiod's ``/debug/configz`` answers: every document in its store, whoever it came from."""

from collections.abc import Iterator

import msgspec

from meshbridge.errors import BadData

_NEXT = b'},{"kind":"'
"""Where one document ends and the next one begins, as Go writes it: no space, the kind first."""
_TRIES = 100
"""Of them that may be met within one document before all the rest is read at once."""


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """What is kept beside a document's spec; Go leaves out what is empty."""

    name: str = ""
    namespace: str = ""
    resource_version: str = ""
    """What its source called the version."""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class Config(msgspec.Struct, rename="camel"):
    """One document."""

    kind: str
    api_version: str = ""
    """``group/version``"""
    metadata: Metadata = Metadata()
    spec: msgspec.Raw = msgspec.Raw(b"{}")


_ONE = msgspec.json.Decoder(Config)
_ALL = msgspec.json.Decoder(list[Config] | None)


def configs(answer: bytes | bytearray) -> list[Config]:
    """Return all documents at once; raises BadData when it is no such answer."""
    try:
        return _ALL.decode(answer) or []
    except msgspec.ValidationError as error:
        raise BadData(f"it is no answer of istiod's /debug/configz: {error}") from None
    except msgspec.DecodeError as error:
        raise BadData(f"it is no JSON: {error}") from None
    except RecursionError:
        raise BadData("it is no answer of istiod: it is nested too deeply") from None


def one_by_one(answer: bytes | bytearray) -> Iterator[Config | None]:
    """Yield all documents in steps as short as each is long; ``None`` is a step without one.

    Ten thousand services are some ten megabytes, and a decoder holds everything else up as long as
    it works. An answer that is not written as Go does is read at once. Raises BadData.
    """
    begin, search = 1, 1
    tries = 0 if answer.startswith(b"[") else _TRIES
    while tries < _TRIES and (found := answer.find(_NEXT, search)) >= 0:
        try:
            config = _ONE.decode(answer[begin : found + 1])
        except (msgspec.DecodeError, RecursionError):
            # Something within a document begins like one: this is not the end of it.
            search, tries = found + 1, tries + 1
            yield None
            continue
        yield config
        begin = search = found + 2
        tries = 0
    yield from configs(b"[" + answer[begin:] if begin > 1 else answer)
