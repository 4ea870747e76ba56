"""The command line: the same jobs as the server's, without HTTP."""

from backend.cli.main import main

__all__ = ["main"]
