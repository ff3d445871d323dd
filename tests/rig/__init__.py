"""The real processes that tests run against: servers, proxies, backends and the bridge itself.

Everything here is an async context manager on loopback and free ports, shows its log when it fails
and cannot outlive the test run.
"""
