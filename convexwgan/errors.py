"""Every exception of the package: what failed, on which value, what is allowed, what to try."""

from __future__ import annotations

from typing import Any

import numpy as np


class ConvexWGANError(Exception):
    """Base of every exception that this package raises on purpose."""


class InputError(ConvexWGANError, ValueError):
    """A value given by the user is outside its allowed range.

    The message carries subject, value, allowed range and remedy, in this order.

    >>> raise InputError("beta of Discriminator.linear", -1.0, "be > 0", "it is the strength β_d")
    Traceback (most recent call last):
    ...
    convexwgan.errors.InputError: beta of Discriminator.linear = -1.0 must be > 0: it is the strength β_d.
    """

    def __init__(self, subject: str, value: Any, must: str, remedy: str) -> None:
        self.subject, self.value, self.must, self.remedy = subject, value, must, remedy
        super().__init__(f"{subject} = {describe_value(value)} must {must}: {remedy.rstrip('.')}.")


class NotCoveredError(ConvexWGANError, ValueError):
    """No chain of theorems covers the pair; the message gives the reason and the nearest pair that works."""


class NotConicError(ConvexWGANError, ValueError):
    """The problem has no exact conic form; the message names the obstacle."""


class MissingExtraError(ConvexWGANError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(f"{purpose} needs the package {package}: install it with pip install 'convexwgan[{extra}]'.")


class SolverUnavailableError(ConvexWGANError, RuntimeError):
    """A solver was asked for that cannot run here; the message says why and what would make it run."""


class MemoryLimitError(ConvexWGANError, MemoryError):
    """A conic problem would not fit in memory; refused before it is built, with the number of bytes."""


class FileFormatError(ConvexWGANError, ValueError):
    """A file is not what it claims to be: wrong format, wrong version, edited, or belonging to other data."""


class SolveError(ConvexWGANError, RuntimeError):
    """A numerical method broke down in a way that no status of a Solution can describe."""


def describe_value(value: Any) -> str:
    """A short, one-line picture of any value: arrays by shape and dtype, long texts cut.

    >>> describe_value(np.zeros((3, 2)))
    'array of shape (3, 2), dtype float64'
    """
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        if tuple(value.shape) == () and isinstance(value, np.generic):
            return repr(value.item())
        return f"array of shape {tuple(value.shape)}, dtype {value.dtype}"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
