"""The adapter for ZooKeeper: Dubbo's interfaces and applications, and Spring Cloud's services."""

from meshbridge_zookeeper_dubbo.adapter import ZooKeeperDubbo
from meshbridge_zookeeper_dubbo.options import Options

__all__ = ["Options", "ZooKeeperDubbo"]
