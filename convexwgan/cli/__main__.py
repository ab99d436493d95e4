"""``python -m convexwgan.cli``, where the script is not on the path."""

from __future__ import annotations

from convexwgan.cli.app import app

if __name__ == "__main__":
    app()
