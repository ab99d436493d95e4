"""The command line: one module a command, one app."""

from __future__ import annotations

from convexwgan.cli.app import app

__all__ = ["app"]
