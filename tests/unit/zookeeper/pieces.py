"""Pieces of trees, which tests put together."""

import json

from unit.zookeeper.trees import Registry, Tree, with_url

GREETER, STOCK = "meshbridge.peers.Greeter", "meshbridge.peers.Stock"
DUBBO, TRI = "dubbo://10.99.0.1:20010", "tri://10.99.0.1:20020"
INSTANCE = "10.99.0.1:20010"
LIFE = "com.acme.Life"
DEFINED = f"/dubbo/metadata/{LIFE}"
"""What its definitions stand below."""
HERE = ["dubbo://10.0.0.1:20880"]
"""The only instance of an interface that the application of :func:`shop` serves."""


def url(port: int = 20880, interface: str = LIFE, scheme: str = "dubbo", **words: str) -> str:
    query = "&".join(f"{key.replace('_', '.')}={value}" for key, value in words.items())
    return f"{scheme}://10.0.0.1:{port}/{interface}?interface={interface}&{query}"


def listing(*urls: str, category: str = "providers") -> dict[str, bytes]:
    """Return a tree with these below one interface."""
    tree = {f"/dubbo/{LIFE}/providers": b""}
    for each in urls:
        tree = with_url(tree, LIFE, each, category)
    return tree


def moved(tree: Tree, revision: bytes, **kept: bytes) -> Tree:
    """Return the tree with another revision of the instance, and what the registry has of that."""
    path = f"/services/provider/{INSTANCE}"
    before, _, rest = tree[path].partition(b'"dubbo.metadata.revision":"')
    _, _, rest = rest.partition(b'"')
    data = b'%s"dubbo.metadata.revision":"%s"%s' % (before, revision, rest)
    for old, new in kept.items():
        data = data.replace(old.encode(), new)
    return tree | {path: data}


def rule(*lines: str) -> bytes:
    return "\n".join(("configVersion: v2.7", *lines)).encode()


def shop(port: int = 20880, application: str = "shop") -> Tree:
    """Return an instance of Dubbo 3 that keeps its interfaces to itself."""
    metadata = {
        "dubbo.endpoints": json.dumps([{"port": port, "protocol": "dubbo"}]),
        "dubbo.metadata.revision": "4f2a",
        "dubbo.metadata.storage-type": "local",
    }
    told = {"address": "10.0.0.1", "port": port, "payload": {"metadata": metadata}}
    return {f"/services/{application}/10.0.0.1:{port}": json.dumps(told).encode()}


def mapped(*interfaces: str, application: str = "shop") -> Tree:
    """Return mappings of the interfaces to the application."""
    return {f"/dubbo/mapping/{each}": application.encode() for each in interfaces or (LIFE,)}


def interfaces(registry: Registry) -> dict[str, list[str]]:
    """Return what is told of interfaces that have an instance."""
    shown = registry.shown()
    return {name: ids for name, ids in shown.items() if ids and not name.startswith("shop")}
