"""The client's side of SASL's DIGEST-MD5 (RFC 2831), as far as ZooKeeper speaks it."""

import hashlib
import hmac
import re
import secrets

_FIELD = re.compile(r'\s*([a-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^",\s]*))\s*(?:,|$)')
SERVICE = "zookeeper/zk-sasl-md5"
"""ZooKeeper's word for every server, whatever its name (``ZooKeeperSaslClient``)."""
_FIRST = "00000001"


class SaslError(Exception):
    """The server's words are none of DIGEST-MD5, or prove that it does not know the password."""


class DigestMd5:
    """One login; its words are answered in their order."""

    def __init__(
        self, username: str, password: str, *, nonce: str = "", service: str = SERVICE
    ) -> None:
        """Keep whom to log in where; ``nonce`` is this side's, made up if empty."""
        self._username = username
        self._password = password
        self._service = service
        self._nonce = nonce or secrets.token_hex(16)
        self._proof = ""

    def answer(self, words: bytes) -> bytes:
        """Return the answer to a challenge, and nothing to the server's own proof.

        Raises SaslError.
        """
        try:
            text = words.decode()
        except UnicodeDecodeError:
            raise SaslError("its challenge is not readable") from None
        fields = {name: quoted or plain for name, quoted, plain in _FIELD.findall(text)}
        if self._proof:
            if not hmac.compare_digest(fields.get("rspauth", "").encode(), self._proof.encode()):
                raise SaslError("the server does not know the password itself")
            return b""
        return self._respond(fields)

    def _respond(self, fields: dict[str, str]) -> bytes:
        nonce, realm = fields.get("nonce", ""), fields.get("realm", "")
        if not nonce or fields.get("algorithm", "md5-sess") != "md5-sess":
            raise SaslError("its challenge is none of DIGEST-MD5")
        user = _md5(f"{self._username}:{realm}:{self._password}".encode())
        a1 = _md5(user + f":{nonce}:{self._nonce}".encode()).hex()

        def digest(method: str) -> str:
            a2 = _md5(f"{method}:{self._service}".encode()).hex()
            words = (a1, nonce, _FIRST, self._nonce, "auth", a2)
            return _md5(":".join(words).encode()).hex()

        self._proof = digest("")
        said = {
            "charset": "utf-8",
            "username": _quoted(self._username),
            "realm": _quoted(realm),
            "nonce": _quoted(nonce),
            "nc": _FIRST,
            "cnonce": _quoted(self._nonce),
            "digest-uri": _quoted(self._service),
            "response": digest("AUTHENTICATE"),
            "qop": "auth",
        }
        return ",".join(f"{name}={value}" for name, value in said.items()).encode()


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()
