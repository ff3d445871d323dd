"""Captures what the real servers and applications of the test bed write, into tests/corpus."""
