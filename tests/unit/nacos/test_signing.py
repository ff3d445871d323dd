"""An access key signs in the words that Nacos' own clients use."""

import pytest

from meshbridge.settings.secret import Secret
from meshbridge_nacos.identity import TOKEN, Identity, sign_nothing
from meshbridge_nacos.signing import AccessKey

NOW = 1_700_000_000_000
KEY = AccessKey("ak", Secret("sk"))


def test_a_question_about_a_service_is_signed_with_its_name() -> None:
    """The signature is what ``openssl dgst -sha1 -hmac sk -binary | base64`` says."""
    assert KEY.sign_naming("G@@orders", NOW) == {
        "ak": "ak",
        "data": "1700000000000@@G@@orders",
        "signature": "FcyUPKdbORQxXQERK0rx3W4dqp4=",
    }


def test_a_question_about_nothing_in_particular_is_signed_with_the_time() -> None:
    assert KEY.sign_naming("", NOW)["data"] == "1700000000000"


@pytest.mark.parametrize(
    ("tenant", "group", "signature"),
    [
        ("prod", "g", "dKf825876OlzAF+9csV0gbPaeV4="),
        ("", "g", "Zx4kVrXrFvH1gvtTUtIdhF5gjVw="),
        ("", "", "j6e8xo98pWxGWgrhNTYfhcWEDPQ="),
    ],
)
def test_a_question_about_a_configuration_is_signed_with_tenant_and_group(
    tenant: str, group: str, signature: str
) -> None:
    """Of the words ``prod+g+1700000000000``, ``g+…`` and ``1700000000000``."""
    assert KEY.sign_config(tenant, group, NOW) == {
        "Spas-AccessKey": "ak",
        "Timestamp": "1700000000000",
        "Spas-Signature": signature,
    }


def test_a_secret_never_shows() -> None:
    key = AccessKey("ak", Secret("hunter2"))
    assert "hunter2" not in f"{key!r} {key} {key.sign_naming('', NOW)}"


@pytest.mark.parametrize("token", ["", "t"])
@pytest.mark.parametrize("key", [None, KEY])
def test_a_question_carries_what_we_have(token: str, key: AccessKey | None) -> None:
    headers = Identity(None, key, lambda: NOW).headers(token, sign_nothing)
    assert headers == ({TOKEN: token} if token else {}) | (
        KEY.sign_naming("", NOW) if key is not None else {}
    )
