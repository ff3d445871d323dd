"""Measures what the README promises, on this machine, with one command: ``make bench``."""
