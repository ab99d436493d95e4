"""What a fitted generator or a solution is asked and cannot answer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from convexwgan import Discriminator, Generator, Latent, Problem, verify
from convexwgan.errors import (
    ConvexWGANError,
    InputError,
    MemoryLimitError,
)

X = np.random.default_rng(0).standard_normal((8, 3)) + 0.3
Z = np.random.default_rng(1).standard_normal((7, 4)) + 0.3
PAIR = Discriminator.quadratic(beta=2.0) + Generator.linear()
FREE = Discriminator.quadratic(beta=2.0) + Generator.free()


def test_noise_that_no_machine_can_hold_is_refused_with_its_bytes() -> None:
    generator = Problem(PAIR, X, Z).solve().generator
    assert generator is not None
    for draw in (
        lambda: Latent.normal(3).draw(10**14, rng=0),
        lambda: Latent.normal(3).sample(10**30, rng=0),
        lambda: generator.sample(10**14, rng=0, latent=Latent.normal(4)),
    ):
        with pytest.raises(MemoryLimitError, match=r"000 bytes and this machine has"):
            draw()


@pytest.mark.parametrize("latent", [5, 0, "normal", X])
def test_a_latent_that_is_none_is_refused_by_sample(latent: Any, refuses: Any) -> None:
    generator = Problem(PAIR, X, Z).solve().generator
    assert generator is not None
    with pytest.raises(InputError) as error:
        generator.sample(3, rng=0, latent=latent)
    refuses(error, "latent")


def test_generators_refuse_noise_that_does_not_fit(refuses: Any) -> None:
    generator = Problem(PAIR, X, Z).solve().generator
    assert generator is not None
    for noise in (np.ones((3, 5)), np.ones(4), "Z", None, np.full((2, 4), math.nan)):
        with pytest.raises(InputError) as error:
            generator(noise)
        refuses(error, "Z")
    with pytest.raises(InputError, match="latent"):
        generator.sample(3, rng=0)
    with pytest.raises(InputError, match="dimension"):
        generator.sample(3, rng=0, latent=Latent.normal(5))
    for n in (0, -1, 2.5, "3", True):
        with pytest.raises(InputError) as error:
            generator.sample(n, rng=0, latent=Latent.normal(4))  # type: ignore[arg-type]
        refuses(error, "n of sample")
    for rng in (None, -1, "0", 1.5):
        with pytest.raises(InputError) as error:
            generator.sample(2, rng=rng, latent=Latent.normal(4))  # type: ignore[arg-type]
        refuses(error, "rng")


def test_free_generators_are_no_function_of_noise(refuses: Any) -> None:
    generator = Problem(FREE, X).solve().generator
    assert generator is not None
    with pytest.raises(InputError) as error:
        generator(Z)
    refuses(error, "free")
    assert generator.sample(5, rng=0).shape == (5, 3)


def test_population_generators_have_moments_and_no_output(refuses: Any) -> None:
    solution = Problem(PAIR, X, Latent.normal(4), normalize="mean").solve()
    assert solution.generator is not None
    with pytest.raises(InputError) as error:
        _ = solution.generator.output
    refuses(error, "output", "moments")
    assert solution.generator.moments.second.shape == (3, 3)


def test_hidden_weights_belong_to_polynomial_generators(refuses: Any) -> None:
    generator = Problem(PAIR, X, Z).solve().generator
    assert generator is not None
    with pytest.raises(InputError) as error:
        _ = generator.hidden_weights
    refuses(error, "hidden_weights")


def test_verify_refuses_what_is_no_solution() -> None:
    problem = Problem(PAIR, X, Z)
    for wrong in (None, 3, "solution"):
        with pytest.raises(ConvexWGANError):
            verify(problem, wrong)  # type: ignore[arg-type]
