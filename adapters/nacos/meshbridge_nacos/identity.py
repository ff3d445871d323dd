"""Who the bridge is to Nacos: a user, an access key, both or nobody."""

from collections.abc import Callable
from dataclasses import dataclass

from meshbridge_nacos.login import Login
from meshbridge_nacos.signing import AccessKey

TOKEN = "accessToken"  # noqa: S105 - the name of a header

Sign = Callable[[AccessKey, int], dict[str, str]]
"""Signs a question with a key, at these milliseconds since 1970."""


def sign_nothing(key: AccessKey, milliseconds: int) -> dict[str, str]:
    """Sign a question about no service in particular."""
    return key.sign_naming("", milliseconds)


@dataclass(frozen=True, slots=True)
class Identity:
    """What shows the servers who asks."""

    login: Login | None
    key: AccessKey | None
    milliseconds: Callable[[], int]
    """Says how many have passed since 1970: servers compare it with their clock."""

    async def token(self) -> str:
        """Return a token that lives, empty without a user. Raises what Login.token does."""
        return "" if self.login is None else await self.login.token()

    def forget(self, token: str) -> bool:
        """Note that a token was refused; say whether another one may help."""
        return self.login is not None and self.login.forget(token)

    def headers(self, token: str, sign: Sign) -> dict[str, str]:
        """Return what a question carries."""
        signed = {} if self.key is None else sign(self.key, self.milliseconds())
        return {TOKEN: token, **signed} if token else signed
