"""Generators: what each takes, what it refuses, how it prints."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest

from convexwgan.errors import InputError
from convexwgan.spec.generator import Generator

EVERY = [
    Generator.free(),
    Generator.linear(),
    Generator.polynomial(1.0, 0.5, 0.0),
    Generator.relu(),
    Generator.relu(width=5, bias=True, factor="optimised"),
    Generator.distribution(),
]


def test_weights_and_noise_belong_to_linear_polynomial_and_relu() -> None:
    with_weights = {generator.kind for generator in EVERY if generator.has_weights}
    assert with_weights == {"linear", "polynomial", "relu"}
    assert with_weights == {generator.kind for generator in EVERY if generator.needs_noise}


@pytest.mark.parametrize("width", [0, -3, 2.0, True, "4"])
def test_width_must_be_a_whole_number_of_at_least_one(width: Any) -> None:
    with pytest.raises(InputError, match=r"width of Generator\.relu.*whole number >= 1.*hidden neurons"):
        Generator.relu(width=width)


@pytest.mark.parametrize(
    "factor", ["Latent", 3.0, [1.0, 2.0], [[np.nan]], [[1.0], [1.0, 2.0]], np.zeros((0, 2)), np.eye(2) * 1j]
)
def test_factor_is_latent_optimised_or_a_finite_real_matrix(factor: Any) -> None:
    with pytest.raises(InputError, match=r"factor of Generator\.relu"):
        Generator.relu(factor=factor)


def test_factor_array_becomes_immutable_and_hashable() -> None:
    array = np.eye(2)
    generator = Generator.relu(factor=array)
    array[0, 0] = 7.0
    assert generator == Generator.relu(factor=[[1.0, 0.0], [0.0, 1.0]])
    assert hash(generator) == hash(Generator.relu(factor=np.eye(2)))


@pytest.mark.parametrize("keywords", [{"width": 3}, {"bias": True}, {"factor": "optimised"}, {"factor": np.eye(2)}])
def test_width_bias_and_factor_belong_to_relu(keywords: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"Generator\.linear.*belong to Generator\.relu"):
        Generator("linear", **keywords)


def test_coefficients_belong_to_polynomial() -> None:
    with pytest.raises(InputError, match=r"coefficients of Generator\.linear"):
        Generator("linear", coefficients=(1.0, 1.0, 1.0))
    with pytest.raises(InputError, match=r"coefficients of Generator\.polynomial = None"):
        Generator("polynomial")
    with pytest.raises(InputError, match=r"\(a, b\) of Generator\.polynomial"):
        Generator.polynomial(0, 0, 1)
    with pytest.raises(InputError, match="coefficients"):
        Generator("polynomial", coefficients=(1.0, 1.0))  # type: ignore[arg-type]


def test_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"kind of Generator = 'cnn'.*free, linear, polynomial, relu, distribution"):
        Generator("cnn")  # type: ignore[arg-type]


@pytest.mark.parametrize("generator", EVERY, ids=repr)
def test_generator_is_frozen_hashable_and_survives_pickle(generator: Generator) -> None:
    assert pickle.loads(pickle.dumps(generator)) == generator
    assert len({generator, pickle.loads(pickle.dumps(generator))}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        generator.kind = "free"  # type: ignore[misc]


@pytest.mark.parametrize("generator", [*EVERY, Generator.polynomial(0.123456789012, 1, 0)], ids=repr)
def test_repr_is_the_code_that_makes_an_equal_generator(generator: Generator) -> None:
    assert eval(repr(generator), {"Generator": Generator}) == generator


@pytest.mark.parametrize(
    ("generator", "formula"),
    [
        (Generator.free(), "G free"),
        (Generator.linear(), "G = ZW"),
        (Generator.polynomial(1, 0.5, 0), "G = σ(ZW₁)W₂,  σ(t) = t² + 0.5t"),
        (Generator.relu(), "G = (ZW₁)₊W₂"),
        (Generator.relu(bias=True), "G = ([Z 1]W₁)₊W₂"),
        (Generator.distribution(), "any distribution"),
    ],
)
def test_str_is_the_formula(generator: Generator, formula: str) -> None:
    assert formula in str(generator)
    latex = generator._repr_latex_()
    assert latex.isascii()
    assert latex[0] == latex[-1] == "$"
