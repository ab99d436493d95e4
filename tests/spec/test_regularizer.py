"""Regularisers: strengths, norms, targets and custom functions."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from convexwgan.errors import InputError
from convexwgan.spec.regularizer import Regularizer


@pytest.mark.parametrize("strength", [0, -1.0, math.nan, math.inf, True, "1", None, pytest.param(10**400, id="huge")])
def test_strength_must_be_finite_and_positive(strength: Any) -> None:
    with pytest.raises(InputError, match=r"strength of Regularizer\.output.*> 0.*β_g"):
        Regularizer.output(strength)


@pytest.mark.parametrize("p", [0.5, 0, -math.inf, math.nan, True, "inf", None])
def test_p_below_one_is_no_norm(p: Any) -> None:
    with pytest.raises(InputError, match=r"p of Regularizer\.norm.*>= 1.*not convex"):
        Regularizer.norm(p)


@pytest.mark.parametrize("p", [1, 2, 1.5, math.inf, np.float64(3.0), np.int64(1), np.float32(2.0)])
def test_every_norm_from_one_to_infinity_is_taken(p: Any) -> None:
    assert Regularizer.norm(p).p == float(p)


def test_of_is_output_or_weights() -> None:
    assert Regularizer.norm(1, of="weights").of == "weights"
    with pytest.raises(InputError, match='be "output" or "weights"'):
        Regularizer.norm(1, of="G")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "keywords",
    [
        {"kind": "weights", "of": "output"},
        {"kind": "output", "of": "weights"},
        {"kind": "output", "p": 3.0},
        {"kind": "output", "value": abs},
    ],
)
def test_fields_that_contradict_the_kind_are_refused(keywords: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Regularizer(**keywords)


def test_custom_takes_functions_only() -> None:
    regularizer = Regularizer.custom(abs, of="output", value=float, conjugate=float)
    assert (regularizer.function, regularizer.value, regularizer.conjugate) == (abs, float, float)
    with pytest.raises(InputError, match=r"f of Regularizer\.custom = 3 must be callable"):
        Regularizer.custom(3, of="output")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="conjugate"):
        Regularizer.custom(abs, of="output", conjugate=3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"f of Regularizer\.custom = None"):
        Regularizer("custom")


def test_kind_is_known() -> None:
    with pytest.raises(InputError, match=r"kind of Regularizer = 'ridge'.*output, weights, norm or custom"):
        Regularizer("ridge")  # type: ignore[arg-type]


def test_squared_regularisers_are_the_quadratic_ones() -> None:
    assert Regularizer.output().is_quadratic
    assert Regularizer.weights().is_quadratic
    assert not Regularizer.norm(2).is_quadratic
    assert not Regularizer.custom(abs, of="output").is_quadratic


@pytest.mark.parametrize(
    ("regularizer", "formula"),
    [
        (Regularizer.output(2.0), "R_g = (2/2)‖G‖_F²"),
        (Regularizer.weights(3.0), "R_g = (3/2)‖W‖_F²"),
        (Regularizer.norm(1, 0.5), "R_g = 0.5·‖G‖_1"),
        (Regularizer.norm(math.inf, of="weights"), "R_g = 1·‖W‖_∞"),
        (Regularizer.custom(abs, of="weights"), "R_g = f(W)"),
    ],
)
def test_str_is_the_formula(regularizer: Regularizer, formula: str) -> None:
    assert str(regularizer) == formula
    assert regularizer._repr_latex_().isascii()


def test_mean_convention_divides_the_output_cost_by_the_samples() -> None:
    assert Regularizer.output(3.0).text("G", mean=True) == "(3/(2n_f))‖G‖_F²"
    assert Regularizer.weights(3.0).text("W", mean=True) == "(3/2)‖W‖_F²"


@pytest.mark.parametrize(
    "regularizer",
    [Regularizer.output(0.123456789012), Regularizer.weights(2.0), Regularizer.norm(1.5, 2.0)],
    ids=repr,
)
def test_repr_is_the_code_that_makes_an_equal_regulariser(regularizer: Regularizer) -> None:
    assert eval(repr(regularizer), {"Regularizer": Regularizer, "inf": math.inf}) == regularizer


def test_regulariser_is_frozen_hashable_and_comparable() -> None:
    assert Regularizer.output(2) == Regularizer.output(2.0)
    assert len({Regularizer.output(2), Regularizer.output(2.0), Regularizer.weights(2.0)}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        Regularizer.output().strength = 2.0  # type: ignore[misc]
