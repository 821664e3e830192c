"""Commands: what each takes, and what it prints."""

from sweep.cli.app import main

__all__ = ["main"]
