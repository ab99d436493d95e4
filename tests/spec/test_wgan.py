"""The meaning of +: any order, one part of a kind, errors that name both."""

from __future__ import annotations

import dataclasses
import itertools
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from convexwgan.errors import InputError
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.generator import Generator
from convexwgan.spec.regularizer import Regularizer
from convexwgan.spec.wgan import WGAN

PARTS = (Discriminator.quadratic(beta=2.0), Generator.linear(), Regularizer.weights(3.0))
WHOLE = WGAN(*PARTS)


@pytest.mark.parametrize("order", list(itertools.permutations(PARTS)))
def test_plus_takes_the_parts_in_any_order(order: tuple[Any, Any, Any]) -> None:
    first, second, third = order
    assert first + second + third == WHOLE
    assert first + (second + third) == WHOLE
    assert hash(first + second + third) == hash(WHOLE)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Discriminator.linear(beta=1.0), Discriminator.quadratic(beta=2.0)),
        (Generator.free(), Generator.linear()),
        (Regularizer.output(1.0), Regularizer.weights(2.0)),
    ],
)
def test_second_part_of_a_kind_is_an_error_that_names_both(one: Any, other: Any) -> None:
    sums: list[Callable[[], WGAN]] = [
        lambda: one + other,
        lambda: WGAN() + one + other,
        lambda: one + (WGAN() + other),
    ]
    for add in sums:
        with pytest.raises(InputError) as caught:
            add()
        assert repr(one) in str(caught.value)
        assert repr(other) in str(caught.value)


@pytest.mark.parametrize("other", [1, None, "linear", Generator, Generator.free])
def test_adding_anything_else_is_an_error(other: Any) -> None:
    with pytest.raises(InputError, match=r"summand.*Discriminator, Generator or Regularizer"):
        PARTS[0] + other


@pytest.mark.parametrize("generator", [Generator.free(), Generator.distribution()])
def test_generator_without_weights_cannot_be_regularised_on_them(generator: Generator) -> None:
    sums: list[Callable[[], WGAN]] = [
        lambda: generator + Regularizer.weights(),
        lambda: Regularizer.norm(1, of="weights") + generator,
        lambda: PARTS[0] + generator + Regularizer.custom(abs, of="weights"),
    ]
    for add in sums:
        with pytest.raises(InputError, match="no weights"):
            add()


def test_missing_regulariser_is_half_the_squared_output() -> None:
    wgan = PARTS[0] + PARTS[1]
    assert wgan.regularizer == Regularizer.output(1.0)
    assert wgan.is_complete


def test_leaving_the_default_out_and_writing_it_are_the_same_game() -> None:
    written = PARTS[0] + PARTS[1] + Regularizer.output(1.0)
    assert PARTS[0] + PARTS[1] == written
    assert hash(PARTS[0] + PARTS[1]) == hash(written)


def test_players_of_an_incomplete_wgan_is_an_error_that_says_what_is_missing() -> None:
    assert WHOLE.players == PARTS[:2]
    with pytest.raises(InputError, match="have a generator"):
        _ = (PARTS[0] + PARTS[2]).players
    with pytest.raises(InputError, match="have a discriminator"):
        _ = (WGAN() + PARTS[1]).players


def test_wgan_is_frozen_and_survives_pickle() -> None:
    assert pickle.loads(pickle.dumps(WHOLE)) == WHOLE
    with pytest.raises(dataclasses.FrozenInstanceError):
        WHOLE.generator = None  # type: ignore[misc]


def test_repr_is_the_code_that_makes_an_equal_wgan() -> None:
    names = {
        "Discriminator": Discriminator,
        "Generator": Generator,
        "Regularizer": Regularizer,
        "inf": math.inf,
    }
    assert eval(repr(WHOLE), names) == WHOLE


FORMULAS = {
    "min (1/2)‖G‖_F²  s.t.  ‖Xᵀ1 − Gᵀ1‖₂ ≤ 1": Discriminator.linear(beta=1.0) + Generator.free(),
    "min (1/2)‖ZW‖_F² + ‖XᵀX − (ZW)ᵀZW‖₂": Discriminator.quadratic(norm_bound=True) + Generator.linear(),
    "min (3/2)‖W‖_F²  s.t.  ‖XᵀX − (ZW)ᵀZW‖₂ ≤ 2": WHOLE,
    "min (1/2)‖ZW‖_F²  s.t.  ‖XᵀX − (ZW)ᵀZW‖₂ ≤ σ²_4,  Xᵀ1 = (ZW)ᵀ1": (
        Discriminator.quadratic(components=3, skip=True) + Generator.linear()
    ),
    "min 2·‖W̃‖_1  s.t.  ‖Xᵀ1 − (Z̃W̃)ᵀ1‖₂ ≤ 1": (
        Discriminator.linear(beta=1.0) + Generator.polynomial(1, 1, 1) + Regularizer.norm(1, 2.0, of="weights")
    ),
    "min (1/2)(‖W₁‖_F² + ‖W₂‖_F²)  s.t.  max_u |1ᵀσ(Xu) − 1ᵀσ((ZW₁)₊W₂u)| ≤ 0.1": (
        Discriminator.relu(beta=0.1) + Generator.relu() + Regularizer.weights()
    ),
}


@pytest.mark.parametrize("formula", FORMULAS)
def test_str_is_the_program_that_it_means(formula: str) -> None:
    assert str(FORMULAS[formula]) == formula


@pytest.mark.parametrize("formula", FORMULAS)
def test_latex_of_the_program_is_math_in_ascii(formula: str) -> None:
    text = FORMULAS[formula]._repr_latex_()
    assert text.isascii()
    assert text[0] == text[-1] == "$"
    assert text.count("{") == text.count("}")


def test_incomplete_wgan_prints_its_parts() -> None:
    assert str(PARTS[0] + PARTS[2]) == f"{PARTS[0]}\n{PARTS[2]}"
    assert repr(WGAN()) == "WGAN()"


def test_sum_of_the_parts_is_their_wgan() -> None:
    parts = [Discriminator.linear(beta=1.0), Generator.free(), Regularizer.output(2.0)]
    assert sum(parts) == parts[0] + parts[1] + parts[2]
    assert 0 + (parts[0] + parts[1]) == parts[0] + parts[1]


@pytest.mark.parametrize("left", [5, None, "linear", 0.5, False, np.ones(2)])
@pytest.mark.parametrize(
    "right", [Discriminator.linear(beta=1.0), Generator.free(), Regularizer.output(), WGAN(generator=Generator.free())]
)
def test_anything_else_on_the_left_of_plus_is_an_error_too(left: Any, right: Any) -> None:
    with pytest.raises(InputError, match="Discriminator, Generator or Regularizer"):
        left + right
