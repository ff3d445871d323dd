"""Signs requests with an access key, as Nacos' managed offerings ask for; pure.

Naming and configuration are signed in different words (nacos: client-side
``NamingResourceInjector`` and ``ConfigResourceInjector`` with ``SpasAdapter``).
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass

from meshbridge.settings.secret import Secret


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key and its secret, which never travels."""

    identity: str
    secret: Secret

    def sign_naming(self, resource: str, milliseconds: int) -> dict[str, str]:
        """Return headers for a question about ``GROUP@@service``, or none in particular."""
        data = f"{milliseconds}@@{resource}" if resource else str(milliseconds)
        return {"ak": self.identity, "data": data, "signature": self._sign(data)}

    def sign_config(self, tenant: str, group: str, milliseconds: int) -> dict[str, str]:
        """Return headers for a question about a configuration of a tenant's group."""
        words = [word for word in (tenant, group) if word]
        data = "+".join([*words, str(milliseconds)])
        return {
            "Spas-AccessKey": self.identity,
            "Timestamp": str(milliseconds),
            "Spas-Signature": self._sign(data),
        }

    def _sign(self, data: str) -> str:
        digest = hmac.digest(self.secret.reveal().encode(), data.encode(), hashlib.sha1)
        return base64.b64encode(digest).decode()
