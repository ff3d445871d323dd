"""Configuration files: what is read of them, and what is said when they are wrong."""

import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from meshbridge.errors import ConfigurationError
from meshbridge.settings import Address, Secret
from meshbridge.settings.loading import load_settings
from meshbridge.settings.model import Settings
from rig.distribution import install

ACME = '''
from datetime import timedelta
from pydantic import BaseModel
from meshbridge.settings import Address, Duration, ListenAddress, Listener, Secret, Section

class Acme:
    """An adapter whose author knows nothing of kebab-case, strictness or unknown keys."""
    class Options(BaseModel):
        servers: tuple[str, ...] = ()
        poll_every: Duration = timedelta(seconds=5)
        password: Secret | None = None
        retries: int = 3
        ratio: float = 1.0
        deep: dict[str, list[int]] = {}
    def __init__(self, name, options, context): ...

class AcmeForOthers(Acme):
    """An adapter of the same registry under another name."""
    domain = "acme"

class Route(Section):
    listen: ListenAddress
    ports: tuple[int, ...] = (80,)

class Plain:
    class Options(Listener):
        listen: ListenAddress = Address("127.0.0.1", 7)
        http: tuple[Route, ...] = ()
    def __init__(self, options): ...
'''

Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Return what loads a configuration text, with the adapter acme and the outlet plain."""
    modules = install(
        tmp_path / "site",
        "acme-registry",
        modules={"acme_registry": ACME},
        entry_points={
            "meshbridge.adapters": {
                "acme": "acme_registry:Acme",
                "acme-for-others": "acme_registry:AcmeForOthers",
            },
            "meshbridge.outlets": {"plain": "acme_registry:Plain"},
        },
    )
    monkeypatch.setattr(sys, "path", [str(modules), *sys.path])

    def load(text: str, environ: Mapping[str, str] | None = None) -> Settings:
        path = tmp_path / "meshbridge.yaml"
        path.write_text(textwrap.dedent(text))
        return load_settings(path, environ or {})

    yield load
    sys.modules.pop("acme_registry", None)


def faults_of(load: Load, text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """Return what is said about a configuration, without the name of its file."""
    with pytest.raises(ConfigurationError) as caught:
        load(text, environ)
    assert all("\n" not in fault for fault in caught.value.faults)
    return [
        fault.partition("meshbridge.yaml")[2].removeprefix(":") for fault in caught.value.faults
    ]


HEAD = "version: 1\nregistries:\n"
KNOWN = (
    "adapter, deep, guard, name, password, poll-every, publish, ratio, required, retries, servers"
)
ENTRY = "- {name: shop, adapter: acme}\n"


def test_a_whole_configuration_is_read(load: Load) -> None:
    settings = load(
        """
        version: 1
        registries:
          - name: shop
            adapter: acme
            servers: [a, b]
            poll-every: 500ms
            password: ${env:PASSWORD}
            required: false
            publish: {include: ["shop-*"], keep-last: false, allow-addresses: [127.0.0.0/8]}
        outlets:
          plain: {listen: "[::1]:0", http: [{listen: "127.0.0.1:80"}]}
        status: {listen: 127.0.0.1:0}
        """,
        {"PASSWORD": "12345"},
    )
    (registry,) = settings.registries
    options = vars(registry.options)
    assert (registry.name, registry.adapter, registry.required) == ("shop", "acme", False)
    assert options["servers"] == ("a", "b")
    assert options["poll_every"] == timedelta(milliseconds=500)
    assert options["password"] == Secret("12345")
    assert registry.publish.rules.include == ("shop-*",)
    assert not registry.publish.rules.keep_last
    (outlet,) = settings.outlets
    assert outlet.name == "plain"
    assert vars(outlet.options)["listen"] == Address("::1", 0)
    assert settings.status is not None
    assert settings.status.listen == Address("127.0.0.1", 0)


def test_what_is_left_out_has_the_documented_default(load: Load) -> None:
    """The hosts end in the adapter's name, the resources' namespace is the registry's name."""
    settings = load(HEAD + ENTRY + "outlets: {plain: }\n")
    (registry,) = settings.registries
    assert registry.required
    assert (registry.publish.domain, registry.publish.namespace) == ("acme", "shop")
    assert registry.publish.rules.include == ("*",)
    assert registry.publish.rules.keep_last
    assert settings.status is not None
    assert str(settings.status.listen) == "127.0.0.1:15014"
    assert load(HEAD + ENTRY + "status: none\n").status is None
    assert settings.keeping.admin is None


def test_hosts_end_as_the_adapter_says_unless_the_configuration_says_it(load: Load) -> None:
    """An adapter's name need not be its registry's: that of ``zookeeper-dubbo`` is not."""
    settings = load(
        f"""{HEAD}
- {{name: plain, adapter: acme-for-others}}
- {{name: said, adapter: acme-for-others, publish: {{domain: shop.example}}}}
"""
    )
    assert [each.publish.domain for each in settings.registries] == ["acme", "shop.example"]


def test_the_admin_socket_stands_where_the_configuration_does(load: Load) -> None:
    settings = load(HEAD + ENTRY + "admin: ./state/admin.sock\n")
    assert settings.keeping.admin == settings.path.parent / "state" / "admin.sock"
    assert load(HEAD + ENTRY + "admin: /run/admin.sock\n").keeping.admin == Path("/run/admin.sock")


def test_none_is_no_path_but_says_that_there_is_none(load: Load) -> None:
    """As it does of the status server."""
    keeping = load(HEAD + ENTRY + "admin: none\nstate: none\n").keeping
    assert (keeping.admin, keeping.state) == (None, None)


def test_registries_keep_the_order_of_the_file(load: Load) -> None:
    """Their order is their priority for a host that two of them claim."""
    settings = load(HEAD + "- {name: b, adapter: acme}\n- {name: a, adapter: acme}\n")
    assert [(each.name, each.publish.order) for each in settings.registries] == [("b", 0), ("a", 1)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("registries:\n" + ENTRY, "version: missing; write version: 1"),
        ("version: 2\nregistries:\n" + ENTRY, "1: version: found 2; this version reads 1"),
        ('version: "1"\nregistries:\n' + ENTRY, '1: version: found "1"; this version reads 1'),
        (
            HEAD + ENTRY + "stauts: {}\n",
            (
                '4: stauts: unknown key; did you mean "status"?; '
                "known here: admin, max-loss, outlets, registries, state, status, version"
            ),
        ),
        (
            HEAD + "- {name: shop, adapter: acme, serverz: []}\n",
            (
                '3: registries[0].serverz: unknown key; did you mean "servers"?; '
                f"known here: {KNOWN}"
            ),
        ),
        (
            HEAD + "- {name: shop, adapter: acme, poll_every: 1s}\n",
            (
                '3: registries[0].poll_every: unknown key; did you mean "poll-every"?; '
                f"known here: {KNOWN}"
            ),
        ),
        (
            HEAD + "- {name: shop, adapter: acme, servers: a}\n",
            '3: registries[0].servers: found "a"; a list is allowed',
        ),
        (
            HEAD + "- name: shop\n  adapter: acme\n  servers:\n    - a\n    - 7\n",
            "7: registries[0].servers[1]: found 7; text is allowed; put quotes around it",
        ),
        (
            HEAD + "- {name: shop, adapter: acme, deep: {a: [1, x]}}\n",
            '3: registries[0].deep.a[1]: found "x"; a whole number is allowed',
        ),
        (
            HEAD + "- {name: shop, adapter: acme, poll-every: 10}\n",
            "3: registries[0].poll-every: found 10; must be a duration like 500ms, 10s, 5m or 2h",
        ),
        (
            HEAD + '- {name: shop, adapter: acme, required: "yes"}\n',
            '3: registries[0].required: found "yes"; true or false is allowed',
        ),
        (HEAD + "- {adapter: acme}\n", "3: registries[0].name: missing; it must be given"),
        (HEAD + "- {name: shop}\n", "3: registries[0].adapter: missing; it must be given"),
        (
            HEAD + "- {name: Shop, adapter: acme}\n",
            (
                '3: registries[0].name: found "Shop"; '
                "must be lower-case letters, digits and hyphens between them, at most 63"
            ),
        ),
        (
            HEAD + ENTRY + ENTRY,
            (
                '4: registries[1].name: found "shop", which is the name of registries[0] too; '
                "give each registry a name of its own"
            ),
        ),
        (
            HEAD + "- {name: shop, adapter: acme, guard: {max-loss: half}}\n",
            (
                '3: registries[0].guard.max-loss: found "half"; '
                "must be a share from 0% to 100%, like 50%"
            ),
        ),
        (
            HEAD + "- {name: shop, adapter: acme, guard: {min-size: -1}}\n",
            "3: registries[0].guard.min-size: found -1; must be greater than or equal to 0",
        ),
        (
            HEAD + ENTRY + "state: [./state]\n",
            "4: state: found a list; must be the path of a file",
        ),
        (
            HEAD + ENTRY + "max-loss: 200%\n",
            '4: max-loss: found "200%"; must be a share from 0% to 100%, like 50%',
        ),
        (
            HEAD + ENTRY + f"admin: /{'deep/' * 21}admin.sock\n",
            "name a shorter one, like /run/meshbridge/admin.sock",
        ),
        (
            HEAD + ENTRY + "admin: [./admin.sock]\n",
            "4: admin: found a list; must be the path of a file",
        ),
        (
            HEAD + ENTRY + "routing: [routing/*.yaml]\n",
            "4: routing: this version has no routing documents yet; remove the key",
        ),
        (
            HEAD + "- {name: shop, adapter: acme, publish: {keep-lats: true}}\n",
            '3: registries[0].publish.keep-lats: unknown key; did you mean "keep-last"?',
        ),
        (
            HEAD + '- {name: shop, adapter: acme, publish: {keep-last: "yes"}}\n',
            '3: registries[0].publish.keep-last: found "yes"; true or false is allowed',
        ),
        (
            HEAD + "- {name: shop, adapter: acme, publish: {destination-rules: true}}\n",
            "3: registries[0].publish: found destination-rules, but this version does not have",
        ),
        (
            HEAD + "- {name: shop, adapter: acme, publish: {labels: {keeep: []}}}\n",
            (
                '3: registries[0].publish.labels.keeep: unknown key; did you mean "keep"?; '
                "known here: keep, rename"
            ),
        ),
        (
            HEAD + ENTRY + "outlets: {plain: {listen: 80}}\n",
            (
                "4: outlets.plain.listen: found 80; "
                "must be host:port, like 127.0.0.1:15010 or [::1]:15010"
            ),
        ),
        (
            HEAD + ENTRY + "outlets: {plain: {listen: '0.0.0.0:80'}}\n",
            (
                "4: outlets.plain: listens beyond loopback (0.0.0.0:80) without TLS; "
                'give it tls, or say "tls: none"'
            ),
        ),
        (
            HEAD
            + ENTRY
            + "outlets: {plain: {tls: {certificate: nope.pem, key: meshbridge.yaml}}}\n",
            "4: outlets.plain.tls.certificate: ",
        ),
        (
            HEAD + ENTRY + "outlets: {plain: {http: [{listen: 'h:1', port: 1}]}}\n",
            (
                '4: outlets.plain.http[0].port: unknown key; did you mean "ports"?; '
                "known here: listen, ports"
            ),
        ),
        (
            HEAD + "- {name: shop, adapter: nacos, servers: []}\n",
            "3: registries[0]: needs servers, or endpoint instead of them",
        ),
        (
            HEAD + "- {name: shop, adapter: nacos, servers: [h], groups: [a b]}\n",
            '3: registries[0].groups[0]: found "a b"; must have the form ^(\\*|[A-Za-z',
        ),
        (
            HEAD + ENTRY + "status: {listen: '0.0.0.0:80'}\n",
            "4: status: listens beyond loopback (0.0.0.0:80) without TLS",
        ),
        (
            HEAD + "- shop\n",
            '3: registries[0]: found "shop"; keys with values are allowed',
        ),
        (
            HEAD + "- {name: shop, adapter: acme, publish: [a]}\n",
            "3: registries[0].publish: found a list; keys with values are allowed",
        ),
        (
            HEAD + ENTRY + "outlets: [plain]\n",
            "4: outlets: found a list; keys with values are allowed",
        ),
        (
            HEAD + ENTRY + "outlets: {plain: {tls: true}}\n",
            (
                "4: outlets.plain.tls: found true; allowed: keys with values "
                '(allow, certificate, client-ca, key), or "none"'
            ),
        ),
        (
            HEAD + ENTRY + "outlets: {plain: {tls: nnoe}}\n",
            (
                '4: outlets.plain.tls: found "nnoe"; did you mean "none"?; allowed: keys with '
                'values (allow, certificate, client-ca, key), or "none"'
            ),
        ),
        (
            HEAD + ENTRY + "status: true\n",
            '4: status: found true; allowed: keys with values (listen, tls), or "none"',
        ),
        ("version: 1\n", "registries: missing; it must be a list of at least one registry"),
        ("version: 1\nregistries: []\n", "2: registries: must be a list of at least one registry"),
        ("[]\n", "holds a list; it must hold at least version, registries and outlets"),
        ("", "holds nothing; it must hold at least version, registries and outlets"),
        (HEAD + ENTRY + "a: [\n", "is not YAML"),
        (HEAD + ENTRY + "version: 1\n", "4: version: stands twice, also in line 1; keep one"),
        (HEAD + ENTRY + "status: !!python/object:os.system {}\n", "4: status: has a tag"),
        (HEAD + ENTRY + "x: &a {}\nstatus: {<<: *a}\n", "5: status: merge keys (<<) are not read"),
    ],
)
def test_a_fault_is_named_with_its_place_and_what_is_allowed(
    load: Load, text: str, said: str
) -> None:
    """One line for the one fault: line, place, what was found, what is allowed, nearest name."""
    (fault,) = faults_of(load, text)
    assert said in fault


def test_an_unknown_plug_in_is_answered_with_those_installed(load: Load) -> None:
    text = HEAD + "- {name: shop, adapter: acne}\noutlets: {plane: {}}\n"
    adapter, outlet = faults_of(load, text)
    assert adapter.startswith(
        '3: registries[0].adapter: found "acne"; did you mean "acme"?; installed: acme, '
    )
    assert outlet.startswith('4: outlets.plane: found "plane"; did you mean "plain"?; installed: ')


def test_all_faults_are_said_at_once_in_the_order_of_the_file(load: Load) -> None:
    text = """
        version: 3
        registries:
          - name: shop
            adapter: acme
            retries: many
            ratio: half
          - name: shop
            adapter: acme
            poll-every: soon
        outlets:
          plain: {listen: nowhere}
        """
    places = [fault.split(": ")[1] for fault in faults_of(load, text)]
    assert places == [
        "version",
        "registries[0].retries",
        "registries[0].ratio",
        "registries[1].name",
        "registries[1].poll-every",
        "outlets.plain.listen",
    ]


def test_a_reference_is_replaced_by_the_variable_or_the_files_text(
    load: Load, tmp_path: Path
) -> None:
    """Also inside a longer text, and without the line end that editors add to a file."""
    (tmp_path / "password").write_text("s3cret\n")
    settings = load(
        HEAD + "- name: shop\n  adapter: acme\n  password: ${file:password}\n"
        '  servers: ["${env:HOST}:1", "$${env:HOST}"]\n  retries: ${env:RETRIES}\n',
        {"HOST": "h", "RETRIES": "9"},
    )
    options = vars(settings.registries[0].options)
    assert options["password"] == Secret("s3cret")
    assert options["servers"] == ("h:1", "${env:HOST}")
    assert options["retries"] == 9


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("${env:NOPE}", "the environment variable NOPE is not set"),
        ("${file:nope}", "nope cannot be read: No such file or directory"),
        ("${file:.}", "cannot be read: Is a directory"),
        ("${NOPE}", 'found "${NOPE}"; write ${env:NAME} or ${file:/path}'),
        ("${vault:x}", 'found "${vault:x}"; write'),
        ("${env:NOPE", "without a closing brace"),
    ],
)
def test_a_reference_without_a_value_is_one_fault(load: Load, reference: str, said: str) -> None:
    """One: its place is not checked for anything else."""
    text = HEAD + f"- name: shop\n  adapter: acme\n  poll-every: '{reference}'\n"
    (fault,) = faults_of(load, text)
    assert fault.startswith("5: registries[0].poll-every: ")
    assert said in fault


def test_no_fault_shows_what_came_from_outside_or_may_be_a_secret(load: Load) -> None:
    text = """
        version: 1
        registries:
          - name: shop
            adapter: acme
            password: 918273
            passwrd: hunter2
            poll-every: ${env:TOKEN}
            servers: http://user:hunter2@h
        """
    faults = faults_of(load, text, {"TOKEN": "hunter2"})
    assert len(faults) == 4
    assert not [fault for fault in faults if "hunter2" in fault or "918273" in fault]
    assert 'found "${env:TOKEN}"' in faults[2]


@pytest.mark.parametrize(
    "line",
    [
        "publish: {protocol: '${env:X}'}",
        "publish: {host: '{service}.${env:X}'}",
        "publish: {aliases: ['a b${env:X}']}",
        "publish: {domain: 'a.${env:X}.b'}",
        "publish: {namespace: '${env:X}'}",
        "publish: {ports: {http: '${env:X}'}}",
        "publish: {allow-addresses: ['${env:X}']}",
        "publish: {locality: {cidr: {10.0.0.0/8: 'a/b/c/d/${env:X}'}}}",
        "publish: {labels: {rename: {lane: '${env:X}'}}}",
        "publish: {addresses: '${env:X}'}",
        "publish: '${env:X}'",
        "required: '${env:X}'",
        "servers: {a: '${env:X}'}",
    ],
)
def test_every_fault_shows_the_reference_instead_of_its_value(load: Load, line: str) -> None:
    """Wherever it stands, and whatever rule it breaks."""
    text = HEAD + f"- name: shop\n  adapter: acme\n  {line}\n"
    (fault,) = faults_of(load, text, {"X": "Hunter 2_!"})
    assert "hunter" not in fault.lower()
    assert "2_!" not in fault
    assert "${env:X}" in fault or "found keys with values" in fault


def test_names_from_outside_are_shown_as_references(load: Load) -> None:
    """Names of adapters and registries, a listener, and the version."""
    text = """
        version: ${env:X}
        registries:
          - {name: shop, adapter: "${env:X}"}
          - {name: "${env:Y}", adapter: acme}
          - {name: "${env:Y}", adapter: acme}
          - {name: "${env:X}", adapter: acme}
        status: {listen: "${env:L}"}
        """
    faults = faults_of(load, text, {"X": "Hunter2", "Y": "hunter2", "L": "10.98.76.54:80"})
    assert len(faults) == 5
    assert not [each for each in faults if "hunter2" in each.lower() or "98.76" in each]
    assert all("${env:" in fault for fault in faults)


@pytest.mark.parametrize(
    "password",
    [
        "*hunter2",
        "!hunter2",
        "!hunter2!",
        "!hunter2!x",
        "'x${hunter2}'",
        "'x${hunter2'",
        "a: hunter2",
    ],
)
def test_no_fault_shows_a_password_that_means_something_else(load: Load, password: str) -> None:
    """In YAML, or as a reference: the user hears of the line, and others of nothing."""
    text = HEAD + f"- name: shop\n  adapter: acme\n  password: {password}\n"
    (fault,) = faults_of(load, text)
    assert fault.startswith("5: ")
    assert "hunter2" not in fault


def test_a_file_that_is_no_configuration_is_not_read_to_its_end(load: Load) -> None:
    (fault,) = faults_of(load, "a: " + "x" * 1_100_000)
    assert fault == " is larger than 1 MiB"
