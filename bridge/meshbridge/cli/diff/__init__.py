"""``meshbridge diff``: in what two places that hold services differ."""

from meshbridge.cli.diff.command import diff_sources

__all__ = ["diff_sources"]
