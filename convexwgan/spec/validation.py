"""Checks shared by every spec: a number in its range or one clear error."""

from __future__ import annotations

import math
import numbers
from typing import Any

from convexwgan.errors import InputError


def positive(subject: str, value: Any, remedy: str) -> float:
    """``value`` as a float > 0."""
    number = real(subject, value, "be a finite number > 0", remedy)
    if number <= 0:
        raise InputError(subject, value, "be > 0", remedy)
    return number


def real(subject: str, value: Any, must: str, remedy: str) -> float:
    """``value`` as a finite float; booleans and texts are refused."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise InputError(subject, value, must, remedy)
    try:
        number = float(value)
    except OverflowError:  # a whole number beyond every float
        number = math.inf
    if not math.isfinite(number):
        raise InputError(subject, value, must, remedy)
    return number


def count(subject: str, value: Any, remedy: str, *, least: int = 1) -> int:
    """``value`` as an int >= ``least``."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or int(value) < least:
        raise InputError(subject, value, f"be a whole number >= {least}", remedy)
    return int(value)


def flag(subject: str, value: Any, remedy: str) -> bool:
    """``value`` as a bool; only True and False will do."""
    if not isinstance(value, bool):
        raise InputError(subject, value, "be True or False", remedy)
    return value


def coefficients(subject: str, given: Any) -> tuple[float, float, float]:
    """(a, b, c) of the activation σ(t) = at² + bt + c, not all of a and b zero."""
    remedy = "they are the coefficients of the activation σ(t) = at² + bt + c"
    if not isinstance(given, (tuple, list)) or len(given) != 3:
        raise InputError(f"coefficients of {subject}", given, "be three numbers (a, b, c)", remedy)
    a, b, c = given
    triple = (
        real(f"a of {subject}", a, "be a finite number", remedy),
        real(f"b of {subject}", b, "be a finite number", remedy),
        real(f"c of {subject}", c, "be a finite number", remedy),
    )
    if triple[0] == 0 and triple[1] == 0:
        raise InputError(
            f"(a, b) of {subject}",
            (triple[0], triple[1]),
            "not both be 0",
            "a constant activation cannot see its input",
        )
    return triple


def activation_text(triple: tuple[float, float, float], argument: str = "t") -> str:
    """The polynomial activation as a formula.

    >>> activation_text((1.0, -0.5, 2.0))
    't² - 0.5t + 2'
    """
    a, b, c = triple
    text = ""
    for factor, power in ((a, f"{argument}²"), (b, argument), (c, "")):
        if factor == 0:
            continue
        size = "" if abs(factor) == 1 and power else f"{abs(factor):g}"
        sign = " - " if factor < 0 and text else " + " if text else "-" if factor < 0 else ""
        text += f"{sign}{size}{power}"
    return text
