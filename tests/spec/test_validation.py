"""Numbers in their range or one clear error."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convexwgan.errors import InputError
from convexwgan.spec import validation


@given(st.floats(min_value=0, exclude_min=True, allow_infinity=False))
def test_every_positive_float_passes_unchanged(number: float) -> None:
    assert validation.positive("beta", number, "remedy") == number


@given(st.one_of(st.floats(max_value=0), st.booleans(), st.text(), st.none(), st.sampled_from([math.nan, math.inf])))
def test_everything_else_is_an_error_of_the_package(value: Any) -> None:
    with pytest.raises(InputError) as caught:
        validation.positive("beta", value, "the remedy")
    assert (caught.value.subject, caught.value.remedy) == ("beta", "the remedy")


@pytest.mark.parametrize("number", [3, np.int32(3), np.float32(3.0), np.float64(3.0), Fraction(3)])
def test_numbers_of_every_library_become_floats(number: Any) -> None:
    result = validation.real("x", number, "be a number", "remedy")
    assert (type(result), result) == (float, 3.0)


def test_whole_number_too_large_for_a_float_is_an_error_of_the_package() -> None:
    with pytest.raises(InputError, match="beta"):
        validation.positive("beta", 10**400, "remedy")


@pytest.mark.parametrize("number", [0, -1, 1.0, True, "1", None, math.nan])
def test_count_takes_whole_numbers_from_its_least(number: Any) -> None:
    assert validation.count("n", np.int64(1), "remedy") == 1
    assert validation.count("n", 0, "remedy", least=0) == 0
    with pytest.raises(InputError, match=r"n = .* must be a whole number >= 1: remedy"):
        validation.count("n", number, "remedy")


@pytest.mark.parametrize(
    ("triple", "text"),
    [
        ((1.0, 0.0, 0.0), "t²"),
        ((-1.0, 1.0, -2.0), "-t² + t - 2"),
        ((0.0, -0.5, 1.0), "-0.5t + 1"),
        ((2.0, 0.0, 1.0), "2t² + 1"),
    ],
)
def test_activation_prints_as_its_polynomial(triple: tuple[float, float, float], text: str) -> None:
    assert validation.activation_text(triple) == text
