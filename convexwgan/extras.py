"""Optional packages: imported where used, one error type naming the extra when missing."""

from __future__ import annotations

import importlib
from typing import Any

from convexwgan.errors import MissingExtraError


def require(package: str, extra: str, purpose: str) -> Any:
    """The optional package, imported.

    Raises:
        MissingExtraError: it is not installed; the message names the extra that brings it.

    >>> require("numpy", "none", "nothing").__name__
    'numpy'
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingExtraError(package, extra, purpose) from error
