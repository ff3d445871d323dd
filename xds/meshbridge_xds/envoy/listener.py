"""Encodes listeners: those that the configuration names, and those that gRPC asks for by name."""

from meshbridge.protos.gen.envoy.config.core.v3.address_pb2 import Address as AddressMessage
from meshbridge.protos.gen.envoy.config.core.v3.address_pb2 import SocketAddress
from meshbridge.protos.gen.envoy.config.core.v3.base_pb2 import TrafficDirection
from meshbridge.protos.gen.envoy.config.listener.v3.api_listener_pb2 import ApiListener
from meshbridge.protos.gen.envoy.config.listener.v3.listener_components_pb2 import (
    Filter,
    FilterChain,
)
from meshbridge.protos.gen.envoy.config.listener.v3.listener_pb2 import Listener
from meshbridge.protos.gen.envoy.extensions.filters.http.router.v3.router_pb2 import Router
from meshbridge.protos.gen.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)
from meshbridge.protos.gen.envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import (
    TcpProxy,
)
from meshbridge.settings import Address
from meshbridge_xds.envoy.cluster import over_ads
from meshbridge_xds.envoy.names import encoded, http_listener_name, packed, tcp_listener_name
from meshbridge_xds.resources import Resource


def encode_http_listener(address: Address) -> Resource:
    """Return the listener that routes requests by their host; its routes have its name."""
    name = http_listener_name(str(address))
    manager = _manager(name)
    manager.upgrade_configs.add(upgrade_type="websocket")
    # The caller sees the backend's own header, as without a proxy in between.
    manager.server_header_transformation = hcm.HttpConnectionManager.PASS_THROUGH
    network = Filter(
        name="envoy.filters.network.http_connection_manager", typed_config=packed(manager)
    )
    return Resource.of(name, encoded(_listener(name, address, network)), refers=(name,))


def encode_tcp_listener(address: Address, cluster: str) -> Resource:
    """Return the listener that forwards every connection to one cluster."""
    name = tcp_listener_name(str(address))
    proxy = TcpProxy(stat_prefix=name, cluster=cluster)
    network = Filter(name="envoy.filters.network.tcp_proxy", typed_config=packed(proxy))
    return Resource.of(name, encoded(_listener(name, address, network)))


def encode_api_listener(name: str, routes: str) -> Resource:
    """Return the listener that gRPC asks for by the name in ``xds:///name``."""
    listener = Listener(
        name=name, api_listener=ApiListener(api_listener=packed(_manager(routes, name)))
    )
    return Resource.of(name, encoded(listener), refers=(routes,))


def _manager(routes: str, stat_prefix: str = "") -> hcm.HttpConnectionManager:
    return hcm.HttpConnectionManager(
        stat_prefix=stat_prefix or routes,
        rds=hcm.Rds(route_config_name=routes, config_source=over_ads()),
        http_filters=[
            hcm.HttpFilter(name="envoy.filters.http.router", typed_config=packed(Router()))
        ],
    )


def _listener(name: str, address: Address, network: Filter) -> Listener:
    where = SocketAddress(address=address.host, port_value=address.port)
    return Listener(
        name=name,
        address=AddressMessage(socket_address=where),
        filter_chains=[FilterChain(filters=[network])],
        traffic_direction=TrafficDirection.OUTBOUND,
    )
