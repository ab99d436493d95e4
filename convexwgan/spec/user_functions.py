"""What a user's own function says on an array: one number, or one error of ours; whether it sees order or sign."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.errors import InputError

TRIALS = 8
_ROUNDING = 1e-9


def user_number(role: str, function: Callable[[Float64], float], argument: Float64) -> float:
    """What ``value`` or ``conjugate`` of a custom regulariser returns.

    Raises:
        InputError: the function raised, or returned no number.
    """
    subject = f"{role} of Regularizer.custom"
    try:
        result: Any = function(argument)
    except Exception as error:  # a user's function may raise anything; the cause travels along
        remedy = f"it raised {type(error).__name__}: {error}"
        raise InputError(subject, argument, "be a function of such an array", remedy) from error
    is_number = isinstance(result, (numbers.Real, np.ndarray)) and not isinstance(result, bool)
    if not is_number or getattr(result, "ndim", 0) != 0:
        raise InputError(
            f"result of {subject}", result, "be one real number", "return a float, math.inf where infinite"
        )
    return float(result)


def sees_order(function: Callable[[Float64], float], size: int, unit: float = 1.0) -> bool:
    """Whether some of ``TRIALS`` permutations of random outputs (size, 1) changes the function; refutes, never proves.

    >>> sees_order(lambda G: float(np.sum(G**4)), 5), sees_order(lambda G: float(G[0, 0] ** 2), 5)
    (False, True)
    """
    rng = np.random.default_rng(0)
    return any(_changes(function, w, rng.permutation(w)) for w in _trials(rng, size, unit))


def sees_sign(function: Callable[[Float64], float], size: int, unit: float = 1.0) -> bool:
    """Whether some change of signs of random outputs (size, 1) changes the function; refutes, never proves.

    >>> sees_sign(lambda G: float(np.abs(G).max()), 5), sees_sign(lambda G: float(np.exp(G).sum()), 5)
    (False, True)
    """
    rng = np.random.default_rng(1)
    return any(_changes(function, w, w * rng.choice([-1.0, 1.0], size=w.shape)) for w in _trials(rng, size, unit))


def _trials(rng: np.random.Generator, size: int, unit: float) -> list[Float64]:
    """Outputs of the size of the data, small and large ones among them."""
    return [unit * 10.0 ** rng.uniform(-2, 1) * rng.standard_normal((size, 1)) for _ in range(TRIALS)]


def _changes(function: Callable[[Float64], float], before: Float64, after: Float64) -> bool:
    first, second = user_number("value", function, before), user_number("value", function, after)
    if not (np.isfinite(first) and np.isfinite(second)):
        return not (first == second or (np.isnan(first) and np.isnan(second)))
    return abs(first - second) > _ROUNDING * max(abs(first), abs(second))
