"""Arguments of Problem and parts that do not compose."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from convexwgan import Discriminator, Generator, Latent, Problem, Regularizer
from convexwgan.errors import (
    InputError,
)

X = np.random.default_rng(0).standard_normal((8, 3)) + 0.3
Z = np.random.default_rng(1).standard_normal((7, 4)) + 0.3
PAIR = Discriminator.quadratic(beta=2.0) + Generator.linear()
FREE = Discriminator.quadratic(beta=2.0) + Generator.free()


def test_missing_noise_is_refused(refuses: Any) -> None:
    with pytest.raises(InputError) as error:
        Problem(PAIR, X)
    refuses(error, "Z", "Latent.normal")


def test_superfluous_noise_is_refused(refuses: Any) -> None:
    for noise in (Z, Latent.normal(3), Latent.normal(3).draw(4, rng=0)):
        with pytest.raises(InputError) as error:
            Problem(FREE, X, noise)
        refuses(error, "Z", "n_fake")


def test_population_noise_with_sums_is_refused(refuses: Any) -> None:
    with pytest.raises(InputError) as error:
        Problem(PAIR, X, Latent.normal(4))
    refuses(error, "normalize", "mean")


def test_n_fake_for_a_generator_with_noise_is_refused(refuses: Any) -> None:
    with pytest.raises(InputError) as error:
        Problem(PAIR, X, Z, n_fake=7)
    refuses(error, "n_fake", "rows of Z")


@pytest.mark.parametrize("n_fake", [0, -3, 2.5, "7", True, math.nan, math.inf, [4]])
def test_n_fake_that_is_no_positive_count_is_refused(n_fake: Any, refuses: Any) -> None:
    with pytest.raises(InputError) as error:
        Problem(FREE, X, n_fake=n_fake)
    refuses(error, "n_fake")


@pytest.mark.parametrize("normalize", ["sums", "", None, 1, True, ["sum"]])
def test_another_normalize_is_refused(normalize: Any, refuses: Any) -> None:
    with pytest.raises(InputError) as error:
        Problem(FREE, X, normalize=normalize)
    refuses(error, "normalize")


@pytest.mark.parametrize("wgan", [None, "quadratic", Discriminator.linear(beta=1.0), Generator.free(), 3])
def test_something_else_than_a_wgan_is_refused(wgan: Any, refuses: Any) -> None:
    with pytest.raises(InputError) as error:
        Problem(wgan, X)
    refuses(error, "wgan", "compose")


def test_incomplete_wgans_are_refused() -> None:
    for wgan in (Discriminator.linear(beta=1.0) + Regularizer.output(1.0), Generator.free() + Regularizer.output(1.0)):
        with pytest.raises(InputError):
            Problem(wgan, X)


@pytest.mark.parametrize(
    "parts",
    [
        (Discriminator.linear(beta=1.0), Discriminator.quadratic(beta=1.0)),
        (Generator.free(), Generator.linear()),
        (Regularizer.output(1.0), Regularizer.weights(1.0)),
        (Generator.free(), Regularizer.weights(1.0)),
    ],
)
def test_parts_that_do_not_compose_are_refused(parts: tuple[Any, Any], refuses: Any) -> None:
    for left, right in (parts, parts[::-1]):
        with pytest.raises(InputError) as error:
            Problem(left + right + Discriminator.linear(beta=1.0), X, Z)
        refuses(error)


@pytest.mark.parametrize("other", [3, "generator", None, np.ones(2), [Generator.free()]])
def test_summands_that_are_no_parts_are_refused(other: Any, refuses: Any) -> None:
    for part in (Discriminator.linear(beta=1.0), Generator.linear(), Regularizer.output(1.0), PAIR):
        with pytest.raises(InputError) as error:
            _ = part + other
        refuses(error, "summand")
