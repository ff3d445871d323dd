"""Serves istiod over MCP-over-xDS."""
