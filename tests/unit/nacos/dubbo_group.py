"""A Nacos group of a test's own, that says what became of what was put into it."""

from collections.abc import Mapping

from meshbridge import RegisteredService
from meshbridge_dubbo import Variant, read_metadata
from meshbridge_nacos.dubbo import News, Registrations
from meshbridge_nacos.dubbo_mappings import Mapped
from meshbridge_nacos.parse import read_service, service_id

GREETER = "a.Greeter"
REVISION = "23c0c279d43a45853cecc6649bf30d77"
AT, TRI = "dubbo://10.0.0.1:20880", "tri://10.0.0.1:50051"
SERVICES = (
    '{"a.Greeter:dubbo":{"name":"a.Greeter","protocol":"dubbo","path":"a.Greeter","port":20880,'
    '"params":{"weight":"50","dubbo.tag":"gray"}}}'
)
METADATA = f'{{"services":{SERVICES}}}'


def host(port: object = 20880, ip: str = "10.0.0.1", **fields: object) -> dict[str, object]:
    """Return an instance as Nacos holds it."""
    return {"ip": ip, "port": port, **fields}


def url(
    port: object = 20880,
    ip: str = "10.0.0.1",
    nacos: Mapping[str, object] | None = None,
    **more: str,
) -> dict[str, object]:
    """Return a provider as Dubbo registers it; ``nacos`` is what stands beside the metadata."""
    said = {"interface": GREETER, "path": GREETER, "protocol": "dubbo", "application": "shop"}
    pairs = {key.replace("_", "."): value for key, value in more.items()}
    return host(port, ip, metadata=said | pairs, **(nacos or {}))


def node(
    *ports: tuple[str, int],
    ip: str = "10.0.0.1",
    revision: str = "",
    storage: str = "local",
    nacos: Mapping[str, object] | None = None,
    **more: str,
) -> dict[str, object]:
    """Return an application's instance as Dubbo 3 registers it, with (protocol, port) pairs."""
    ports = ports or (("dubbo", 20880),)
    ends = ",".join(f'{{"port":{port},"protocol":"{protocol}"}}' for protocol, port in ports)
    said = {"dubbo.endpoints": f"[{ends}]", "dubbo.metadata.storage-type": storage}
    if revision:
        said["dubbo.metadata.revision"] = revision
    return host(ports[0][1], ip, metadata=said | more, **(nacos or {}))


def remote(
    revision: str = REVISION,
    ip: str = "10.0.0.1",
    nacos: Mapping[str, object] | None = None,
    **more: str,
) -> dict[str, object]:
    """Return an application's instance whose metadata are in Nacos' configuration."""
    return node(ip=ip, revision=revision, storage="remote", nacos=nacos, **more)


class Group:
    """Registrations, and all that they have said."""

    def __init__(self, namespace: str = "public", group: str = "DEFAULT_GROUP") -> None:
        self.names = namespace, group
        self.registrations = Registrations(namespace, group)
        self.applications = self.registrations.applications
        self.held: dict[str, RegisteredService] = {}
        self.reports: list[tuple[object, str]] = []

    def put(self, name: str, *hosts: object) -> dict[str, News]:
        """Put a service of these instances; return what that makes."""
        identity = service_id(*self.names, name)
        self.registrations.put(name, read_service(identity, {"hosts": list(hosts)}))
        return self.take()

    def refuse(self, name: str, reason: str = "it is no service") -> dict[str, News]:
        self.registrations.refuse(name, reason)
        return self.take()

    def drop(self, name: str) -> dict[str, News]:
        self.registrations.drop(name)
        return self.take()

    def learn(
        self, application: str, *, services: str, revision: str = REVISION
    ) -> dict[str, News]:
        """Let the metadata of a revision be read; ``services`` is their JSON."""
        text = f'{{"app":"{application}","revision":"{revision}","services":{services}}}'
        self.applications.learn((application, revision), read_metadata(text.encode()))
        return self.take()

    def map(self, application: str, **interfaces: set[Variant]) -> dict[str, News]:
        """Let a mapping say what an application serves; ``_`` in a name is a dot."""
        serves = {name.replace("_", "."): found for name, found in interfaces.items()}
        mapped: Mapped = {application: serves}
        self.applications.map(mapped)
        return self.take()

    def ripen(self) -> dict[str, News]:
        self.applications.ripen(self.applications.doubtful())
        return self.take()

    def take(self) -> dict[str, News]:
        """Return all there is to say, by the services' identities."""
        said = {str(news.id): news for news in self.registrations.take() if news is not None}
        for name, news in said.items():
            self.reports += [(each.subject, each.reason) for each in news.reports]
            if news.service is None:
                del self.held[name]
            else:
                self.held[name] = news.service
        services, _ = self.registrations.listing()
        assert {str(each.id): each for each in services} == self.held
        return said

    def ids(self, name: str) -> list[str]:
        """Return the ids of a service's instances."""
        return [each.id for each in self.held[name].instances]
