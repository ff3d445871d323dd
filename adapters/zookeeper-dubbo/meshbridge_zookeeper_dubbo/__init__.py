"""The adapter for ZooKeeper: Dubbo's interfaces and applications, and Spring Cloud's services."""

from meshbridge_zookeeper_dubbo.adapter import ZooKeeperDubbo

__all__ = ["ZooKeeperDubbo"]
