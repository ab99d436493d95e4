"""A conic program with the two readings that the rest of the package needs: primal values and multipliers."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from convexwgan.arrays import Float64

Values = dict[str, Float64]
_logger = logging.getLogger("convexwgan")


@dataclass(frozen=True)
class ConicModel:
    """A CVXPY problem in scaled units, and how to read it in the user's units.

    Interior-point tolerances are partly absolute, so data of size 1e-9 or 1e9 would get no digits: every
    builder divides by the size of its data (unless ``natural=True``) and undoes it in the two readings.

    Attributes:
        name: the program, for messages and files.
        problem: ``cvxpy.Problem``; its value times ``value_unit`` is the value in the user's units.
        variables: named ``cvxpy.Variable`` s, in scaled units.
        unpack: primal values in the user's units; only after a solve that left values.
        multipliers: the dual in the user's units: the discriminator (signs in each builder's docstring).
        value_unit: the unit of ``problem.value``.
        clarabel: options that this program needs of Clarabel; the caller's own win.
    """

    name: str
    problem: Any
    variables: dict[str, Any]
    unpack: Callable[[], Values]
    multipliers: Callable[[], Values]
    value_unit: float = 1.0
    clarabel: Mapping[str, Any] = field(default_factory=dict)


def load_cvxpy() -> Any:
    """CVXPY, imported when first used: that takes a second. Any, because its own type hints leave out the atoms."""
    import cvxpy

    return cvxpy


@contextlib.contextmanager
def warnings_logged() -> Iterator[None]:
    """CVXPY warns through Python's warnings (deprecated operators, approximated norms); here they go to the log."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for entry in caught:
        _logger.warning("CVXPY: %s", " ".join(str(entry.message).split()))


def primal(variable: Any, unit: float = 1.0) -> Float64:
    """The value of a solved variable, times its unit."""
    return unit * np.asarray(variable.value, dtype=np.float64)


def dual(constraint: Any, unit: float = 1.0) -> Float64:
    """The multiplier of a solved constraint, times its unit; PSD multipliers come symmetrised."""
    value = unit * np.asarray(constraint.dual_value, dtype=np.float64)
    return (value + value.T) / 2 if _is_psd(constraint) else value


def _is_psd(constraint: Any) -> bool:
    cp = load_cvxpy()

    return bool(isinstance(constraint, cp.constraints.PSD))


def positive_or_one(size: float) -> float:
    """A usable unit: ``size``, or 1 where the data are zero."""
    return float(size) if size > 0 else 1.0
