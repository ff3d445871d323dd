"""A real ZooKeeper that speaks TLS, and one that lets in by SASL only who knows the password."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from peers.conftest import make_zookeeper
from peers.zookeeper_following import following, options

from meshbridge import RegistryRejected, RegistryUnavailable
from meshbridge.testing import FaultProxy, Hang
from meshbridge_zookeeper_dubbo.options import Options
from rig.certificates import Authority
from rig.ports import free_port
from rig.zookeeper_session import Session

pytestmark = pytest.mark.asyncio

USER = "bridge"
WORD = 'a "quoted" word'
JAAS = """Server {
    org.apache.zookeeper.server.auth.DigestLoginModule required
    user_bridge="a \\"quoted\\" word";
};
"""


class Secured:
    """A ZooKeeper with a second port for TLS, which asks for a certificate, and files for it."""

    def __init__(self, folder: Path) -> None:
        """Make certificates."""
        self.authority = Authority()
        self.port = free_port()
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(self.authority.certificate)
        certificate, key = self.authority.issue(folder, "localhost")
        store = folder / "server.pem"
        store.write_bytes(key.read_bytes() + certificate.read_bytes())
        self.certificate, self.key = self.authority.issue(folder, "bridge")
        settings = {
            "secureClientPort": str(self.port),
            "secureClientPortAddress": "127.0.0.1",
            "maxSessionTimeout": "60000",
            "serverCnxnFactory": "org.apache.zookeeper.server.NettyServerCnxnFactory",
            "ssl.keyStore.location": str(store),
            "ssl.keyStore.type": "PEM",
            "ssl.trustStore.location": str(self.ca),
            "ssl.trustStore.type": "PEM",
        }
        self.server = make_zookeeper(folder, **settings)

    def options(self, host: str = "localhost", **tls: object) -> Options:
        """Return options for its TLS port, with its authority and our certificate."""
        ours = {"ca": str(self.ca), "certificate": str(self.certificate), "key": str(self.key)}
        return options(f"{host}:{self.port}", tls=ours | tls)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Return a running server with TLS."""
    secured = Secured(tmp_path_factory.mktemp("secured"))
    try:
        asyncio.run(secured.server.start())
        yield secured
    finally:
        asyncio.run(secured.server.stop())


@asynccontextmanager
async def gathering(secured: Secured, certificate: Path, key: Path) -> AsyncGenerator[int]:
    """Stand in for whoever ends TLS before a ZooKeeper and gathers many answers in one record.

    ZooKeeper itself sends a record for each. Gives its port.
    """

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(16 * 1024):
                writer.write(data)
                await asyncio.sleep(0.02)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, before = await asyncio.open_connection("127.0.0.1", secured.server.port)
        await asyncio.gather(carry(reader, before), carry(behind, writer))

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("single", [False, True], ids=["persistent", "single"])
async def test_what_comes_together_is_told_together(
    secured: Secured, tmp_path: Path, *, single: bool
) -> None:
    """None of many answers and events that TLS hands over at once waits for the next ping."""
    root = f"/services/app-{single}"
    certificate, key = secured.authority.issue(tmp_path, "localhost")
    lasting = {"tls": {"ca": str(secured.ca)}, "session-timeout": "40s"}
    async with (
        Session(secured.server.address) as writer,
        gathering(secured, certificate, key) as port,
        following(options(f"localhost:{port}", **lasting), roots=[root], single=single) as heard,
    ):
        await heard.is_whole()
        names = [f"{root}/{number}" for number in range(300)]
        async with asyncio.timeout(10):  # a session's ping comes after more than twelve seconds
            await asyncio.gather(*(writer.write(name, b"data") for name in names))
            await heard.holds(dict.fromkeys(names, b"data"))


async def test_a_server_that_never_answers_to_tls_is_given_up(secured: Secured) -> None:
    async with FaultProxy("127.0.0.1", secured.port) as proxy:
        await proxy.inject(Hang())
        silent = options(
            f"localhost:{proxy.port}", tls={"ca": str(secured.ca)}, **{"session-timeout": "1s"}
        )
        async with following(silent) as heard:
            assert "did not answer in time" in str(await heard.end())


async def test_it_speaks_tls_itself(secured: Secured) -> None:
    async with Session(secured.server.address) as writer:
        await writer.write("/dubbo/a")
    async with following(secured.options()) as heard:
        await heard.is_whole()
        assert "/dubbo/a" in heard.tree


async def test_only_a_certificate_of_our_authority_with_its_name_is_taken(
    secured: Secured, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes(Authority().certificate)
    for chosen, reason in (
        (secured.options("127.0.0.1"), "127.0.0.1"),
        (secured.options(ca=str(stranger)), "not accepted"),
    ):
        async with following(chosen) as heard:
            error = await heard.end()
            assert isinstance(error, RegistryRejected)
            assert reason in str(error)
            assert "check that tls has the ca" in str(error)


async def test_a_port_without_tls_and_a_server_without_our_certificate_are_outages(
    secured: Secured,
) -> None:
    plain = options(f"localhost:{secured.server.port}", tls={"ca": str(secured.ca)})
    nameless = options(f"localhost:{secured.port}", tls={"ca": str(secured.ca)})
    for chosen, remedy in (
        (options(f"localhost:{secured.port}"), "if this port speaks TLS, set tls"),
        (plain, "check that this port speaks TLS"),
        (nameless, "check that tls has the certificate it wants"),
    ):
        async with following(chosen) as heard:
            error = await heard.end()
            assert isinstance(error, RegistryUnavailable)
            assert remedy in str(error)


async def test_files_that_are_none_of_certificates_are_refused(
    secured: Secured, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    for chosen in (secured.options(ca=str(empty)), secured.options(key=str(empty))):
        async with following(chosen) as heard:
            error = await heard.end()
            assert isinstance(error, RegistryRejected)
            assert "tls c" in str(error)


async def test_sasl_lets_in_who_knows_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jaas = tmp_path / "jaas.conf"
    jaas.write_text(JAAS)
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", f"-Djava.security.auth.login.config={jaas}")
    sasl = {"authProvider.1": "org.apache.zookeeper.server.auth.SASLAuthenticationProvider"}
    async with make_zookeeper(tmp_path, **sasl) as server:
        async with Session(server.address) as writer:
            await writer.write("/dubbo/a")
        await server.shell("setAcl", "/dubbo", f"sasl:{USER}:cdrwa")
        right = options(server.address, username=USER, password=WORD, sasl="DIGEST-MD5")
        async with following(right) as heard:
            await heard.is_whole()
            assert heard.tree == {"/dubbo/a": None}
        wrong = options(server.address, username=USER, password=WORD[1:], sasl="DIGEST-MD5")
        async with following(wrong) as heard:
            error = await heard.end()
            assert isinstance(error, RegistryRejected)
            assert "check username, password and sasl" in str(error)
        async with following(options(server.address)) as heard:
            assert isinstance(await heard.end(), RegistryRejected)
