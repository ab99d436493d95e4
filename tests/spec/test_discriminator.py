"""Discriminators: one regularisation each, every wrong value named, formulas that say what they mean."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from convexwgan.errors import InputError
from convexwgan.spec.discriminator import Discriminator

CONSTRUCTORS: dict[str, Callable[..., Discriminator]] = {
    "linear": Discriminator.linear,
    "quadratic": Discriminator.quadratic,
    "polynomial": lambda **keywords: Discriminator.polynomial(1.0, 0.5, 0.0, **keywords),
    "relu": Discriminator.relu,
}


@pytest.mark.parametrize("kind", CONSTRUCTORS)
def test_each_discriminator_takes_weight_decay_or_norm_bound(kind: str) -> None:
    assert CONSTRUCTORS[kind](beta=2).beta == 2.0
    assert CONSTRUCTORS[kind](norm_bound=True).norm_bound


@pytest.mark.parametrize("kind", CONSTRUCTORS)
def test_no_regularisation_and_two_of_them_are_refused_with_the_choices(kind: str) -> None:
    with pytest.raises(InputError, match=rf"Discriminator\.{kind}.*none.*exactly one.*norm_bound=True"):
        CONSTRUCTORS[kind]()
    with pytest.raises(InputError, match=r"more than one.*exactly one"):
        CONSTRUCTORS[kind](beta=1.0, norm_bound=True)


def test_only_quadratic_counts_components() -> None:
    assert Discriminator.quadratic(components=3).components == 3
    with pytest.raises(InputError, match="more than one"):
        Discriminator.quadratic(components=3, beta=1.0)
    with pytest.raises(InputError, match=r"components of Discriminator\.linear = 3"):
        Discriminator("linear", components=3)


@pytest.mark.parametrize(
    "beta",
    [0, 0.0, -1.0, np.nan, np.inf, -np.inf, True, "1", [1.0], 1j, np.array([1.0]), pytest.param(10**400, id="huge")],
)
def test_beta_outside_its_range_is_an_error_with_subject_value_range_and_remedy(beta: Any) -> None:
    with pytest.raises(InputError) as caught:
        Discriminator.quadratic(beta=beta)
    assert caught.value.subject == "beta of Discriminator.quadratic"
    assert "> 0" in caught.value.must
    assert "weight-decay strength" in caught.value.remedy


def test_message_reads_subject_value_range_remedy() -> None:
    with pytest.raises(InputError) as caught:
        Discriminator.quadratic(beta=-1.0)
    expected = "beta of Discriminator.quadratic = -1.0 must be > 0: it is the weight-decay strength β_d."
    assert str(caught.value) == expected


@pytest.mark.parametrize("components", [0, -1, 1.0, True, "2"])
def test_components_must_be_a_whole_number_of_at_least_one(components: Any) -> None:
    with pytest.raises(InputError, match=r"components of Discriminator\.quadratic.*whole number >= 1"):
        Discriminator.quadratic(components=components)


@pytest.mark.parametrize(
    ("keywords", "name"),
    [
        ({"norm_bound": 1}, "norm_bound"),
        ({"norm_bound": "yes"}, "norm_bound"),
        ({"beta": 1.0, "skip": 1}, "skip"),
    ],
)
def test_flags_take_only_true_and_false(keywords: dict[str, Any], name: str) -> None:
    with pytest.raises(InputError, match=rf"{name} of Discriminator\.quadratic.*True or False"):
        Discriminator.quadratic(**keywords)


def test_skip_belongs_to_quadratic_bias_to_relu_and_coefficients_to_polynomial() -> None:
    with pytest.raises(InputError, match=r"skip of Discriminator\.linear"):
        Discriminator("linear", beta=1.0, skip=True)
    with pytest.raises(InputError, match=r"bias of Discriminator\.quadratic"):
        Discriminator("quadratic", beta=1.0, bias=True)
    with pytest.raises(InputError, match=r"coefficients of Discriminator\.linear"):
        Discriminator("linear", beta=1.0, coefficients=(1.0, 1.0, 1.0))
    with pytest.raises(InputError, match=r"coefficients of Discriminator\.polynomial = None"):
        Discriminator("polynomial", beta=1.0)


@pytest.mark.parametrize("wrong", [(1.0, 2.0), (1.0, 2.0, 3.0, 4.0), ()])
def test_coefficients_that_are_not_three_are_refused(wrong: Any) -> None:
    with pytest.raises(InputError, match="coefficients"):
        Discriminator("polynomial", beta=1.0, coefficients=wrong)


def test_activation_that_cannot_see_its_input_is_refused() -> None:
    with pytest.raises(InputError, match=r"\(a, b\).*not both be 0"):
        Discriminator.polynomial(0.0, 0.0, 1.0, beta=1.0)
    with pytest.raises(InputError, match=r"a of Discriminator\.polynomial = nan"):
        Discriminator.polynomial(np.nan, 0.0, 1.0, beta=1.0)


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(InputError, match=r"kind of Discriminator = 'cubic'"):
        Discriminator("cubic", beta=1.0)  # type: ignore[arg-type]


def test_activation_gives_the_polynomial_and_refuses_relu() -> None:
    assert Discriminator.linear(beta=1.0).activation == (0.0, 1.0, 0.0)
    assert Discriminator.quadratic(beta=1.0).activation == (1.0, 0.0, 0.0)
    assert Discriminator.polynomial(1, 2, 3, beta=1.0).activation == (1.0, 2.0, 3.0)
    with pytest.raises(InputError, match="relu"):
        _ = Discriminator.relu(beta=1.0).activation


def test_discriminator_is_frozen_hashable_comparable_and_survives_pickle() -> None:
    one, same = Discriminator.quadratic(beta=2), Discriminator.quadratic(beta=np.float64(2.0))
    assert one == same
    assert hash(one) == hash(same)
    assert one != Discriminator.quadratic(beta=2.0, skip=True)
    assert pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.beta = 3.0  # type: ignore[misc]


@pytest.mark.parametrize(
    "discriminator",
    [
        Discriminator.linear(beta=0.1 + 0.2),
        Discriminator.quadratic(components=3, skip=True),
        Discriminator.polynomial(0.123456789012, -1.0, 0.0, norm_bound=True),
        Discriminator.relu(beta=0.1, bias=True),
    ],
)
def test_repr_is_the_code_that_makes_an_equal_discriminator(discriminator: Discriminator) -> None:
    assert eval(repr(discriminator), {"Discriminator": Discriminator}) == discriminator


def test_str_is_the_formula_and_the_rule() -> None:
    text = str(Discriminator.quadratic(beta=2.0, skip=True))
    assert text == "D(x) = Σ_j σ(xᵀu_j) v_j + xᵀy,  σ(t) = t²,  ‖u_j‖₂ ≤ 1,  R_d = 2 Σ_j |v_j|"
    assert "Σ_j |v_j| ≤ 1" in str(Discriminator.linear(norm_bound=True))
    assert "σ²_4" in str(Discriminator.quadratic(components=3))
    assert "(t)₊" in str(Discriminator.relu(beta=1.0, bias=True))
    assert "xᵀu_j + b_j" in str(Discriminator.relu(beta=1.0, bias=True))
    assert "σ(t) = t² - 0.5t" in str(Discriminator.polynomial(1, -0.5, 0, beta=1.0))


@pytest.mark.parametrize("kind", CONSTRUCTORS)
def test_latex_is_math_in_ascii(kind: str) -> None:
    text = CONSTRUCTORS[kind](beta=1.5)._repr_latex_()
    assert text.startswith("$")
    assert text.endswith("$")
    assert text.isascii()
    assert text.count("{") == text.count("}")
    assert "1.5" in text
