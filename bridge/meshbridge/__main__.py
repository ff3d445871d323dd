"""Runs the command line as ``python -m meshbridge``."""

from meshbridge.cli import main

if __name__ == "__main__":
    main()
