"""Watches Nacos."""
