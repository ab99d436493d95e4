"""Checks shared by every spec: a number in its range or one clear error."""

from __future__ import annotations

import math
import numbers
import os
from typing import Any

from convexwgan.errors import InputError, MemoryLimitError

LARGEST = 1e100
"""Strengths and coefficients beyond this, or below its inverse, would leave float64 where they meet the data."""

LARGEST_BETA = 1e145
"""β_d goes with the square of the data, whose entries may be 1e70."""

LOOSEST = 1e-2
"""A relative gap beyond this is no certificate of anything."""


def positive(subject: str, value: Any, remedy: str) -> float:
    """``value`` as a float > 0."""
    number = real(subject, value, "be a finite number > 0", remedy)
    if number <= 0:
        raise InputError(subject, value, "be > 0", remedy)
    return number


def strength(subject: str, value: Any, remedy: str, largest: float = LARGEST) -> float:
    """``value`` as a float > 0 of a size that float64 can compute with: 1/largest to largest."""
    number = positive(subject, value, remedy)
    if not 1 / largest <= number <= largest:
        raise InputError(subject, value, f"be {1 / largest:g} to {largest:g}", f"{remedy}; rescale the data instead")
    return number


def weight_decay(subject: str, value: Any) -> float:
    """``value`` as β_d."""
    return strength(subject, value, "it is the weight-decay strength β_d", LARGEST_BETA)


def tolerance(subject: str, value: Any) -> float:
    """``value`` as a relative gap in (0, 1e-2]."""
    number = positive(subject, value, "it is the relative gap that CERTIFIED asks for")
    if number > LOOSEST:
        remedy = "a wider gap certifies nothing; BRACKETED still reports both bounds"
        raise InputError(subject, value, f"be at most {LOOSEST:g}", remedy)
    return number


def within_memory(subject: str, *shape: int) -> None:
    """Refuse an array of float64 that is larger than the machine.

    Raises:
        MemoryLimitError: with the number of bytes.
    """
    needed, machine = 8 * math.prod(shape), _machine_bytes()
    if needed > machine:
        raise MemoryLimitError(
            f"{subject} = {' × '.join(map(str, shape))} numbers must fit in memory: they take {needed:,} bytes and "
            f"this machine has {machine:,}; ask for fewer."
        )


def _machine_bytes() -> int:
    """All physical memory; where the system does not tell, what its addresses reach."""
    if not hasattr(os, "sysconf"):
        return 2**47
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


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
    if any(entry and not 1 / LARGEST <= abs(entry) <= LARGEST for entry in triple):
        must = f"be 0 or of size {1 / LARGEST:g} to {LARGEST:g}"
        raise InputError(f"coefficients of {subject}", triple, must, f"{remedy}; rescale the data instead")
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
