"""Noise: a population, or a sample that remembers how it was drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convexwgan.errors import InputError
from convexwgan.spec.latent import Latent, as_rng


@pytest.mark.parametrize("dim", [0, -1, 2.0, True, "3"])
def test_dim_must_be_a_whole_number_of_at_least_one(dim: Any) -> None:
    with pytest.raises(InputError, match=r"dim of Latent\.normal.*whole number >= 1"):
        Latent.normal(dim)


def test_unknown_distribution_is_refused() -> None:
    with pytest.raises(InputError, match=r"kind of Latent = 'uniform'"):
        Latent("uniform", 2)  # type: ignore[arg-type]


def test_same_seed_gives_the_same_noise_and_the_seed_is_remembered() -> None:
    numpy_seed: Any = np.int64(7)
    one, two = Latent.normal(3).draw(5, 7), Latent.normal(3).draw(5, numpy_seed)
    assert np.array_equal(one.array, two.array)
    assert (one.seed, two.seed, one.shape, one.latent) == (7, 7, (5, 3), Latent.normal(3))
    assert np.array_equal(one.array, np.random.default_rng(7).standard_normal((5, 3)))


def test_generator_object_moves_on_and_leaves_no_seed(rng: np.random.Generator) -> None:
    one, two = Latent.normal(2).draw(4, rng), Latent.normal(2).draw(4, rng)
    assert one.seed is None
    assert not np.array_equal(one.array, two.array)


@pytest.mark.parametrize("seed", [None, -1, 1.0, True, "0", [1]])
def test_rng_that_is_no_seed_and_no_generator_is_refused(seed: Any) -> None:
    with pytest.raises(InputError, match=r"rng.*whole number >= 0 or a numpy\.random\.Generator"):
        as_rng(seed)


@pytest.mark.parametrize("n", [0, -2, 1.5])
def test_number_of_draws_must_be_positive(n: Any) -> None:
    with pytest.raises(InputError, match=r"n of Latent\.sample"):
        Latent.normal(2).draw(n, 0)


def test_drawn_noise_is_an_array_to_numpy() -> None:
    noise = Latent.normal(2).draw(3, 0)
    assert np.asarray(noise).shape == (3, 2)
    assert np.asarray(noise, dtype=np.float32).dtype == np.float32


def test_latent_compares_by_value_and_prints_its_distribution() -> None:
    assert Latent.normal(2) == Latent.normal(2)
    assert len({Latent.normal(2), Latent.normal(3), Latent.normal(2)}) == 2
    assert repr(Latent.normal(4)) == "Latent.normal(4)"
    assert str(Latent.normal(4)) == "z ~ N(0, I_4)"
    assert Latent.normal(4)._repr_latex_() == r"$z \sim \mathcal{N}(0, I_{4})$"
