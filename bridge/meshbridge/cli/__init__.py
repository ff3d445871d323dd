"""The command line: what ``meshbridge`` and ``python -m meshbridge`` run."""

from meshbridge.cli.app import main

__all__ = ["main"]
