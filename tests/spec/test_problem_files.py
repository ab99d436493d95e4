"""The shipped problem files: every covered pair has one, and every one loads and builds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from convexwgan.spec.instance import Instance, instance_names, load_instance
from convexwgan.spec.latent import Latent

FOLDER = Path(__file__).resolve().parents[2] / "problems"
NAMES = instance_names()
INSTANCES = {name: load_instance(name) for name in NAMES}
COVERED_GENERATORS = ("free", "linear", "polynomial")

Pair = tuple[str, str, str, str]


def regularizers(discriminator: str, generator: str) -> list[str]:
    """What each discriminator can be combined with: dist is convex in W for linear, in (S, s) for the others."""
    has_weights = generator != "free"
    if discriminator == "linear":
        norms = ["norm 1 of output", "norm 2 of output", "norm inf of output"]
        return ["output", *norms, *(["weights", "norm of weights"] if has_weights else [])]
    return ["output", *(["weights"] if has_weights and discriminator == "quadratic" else [])]


def covered_pairs() -> Iterator[Pair]:
    discriminators = ("linear", "quadratic", "quadratic with skip", "polynomial")
    for discriminator, generator in itertools.product(discriminators, COVERED_GENERATORS):
        for regularizer in regularizers(discriminator, generator):
            for regularisation in ("weight decay", "norm bound"):
                yield discriminator, generator, regularizer, regularisation


def pair_of(instance: Instance) -> Pair:
    discriminator, generator = instance.wgan.players
    regularizer = instance.wgan.regularizer
    name = discriminator.kind + (" with skip" if discriminator.skip else "")
    if regularizer.kind != "norm":
        cost: str = regularizer.kind
    else:
        cost = "norm of weights" if regularizer.of == "weights" else f"norm {regularizer.p:g} of output"
    return name, generator.kind, cost, "norm bound" if discriminator.norm_bound else "weight decay"


@pytest.mark.parametrize("pair", list(covered_pairs()), ids=" × ".join)
def test_every_covered_pair_has_a_problem_file_that_is_solvable(pair: Pair) -> None:
    matching = [instance for instance in INSTANCES.values() if pair_of(instance) == pair]
    assert any(instance.expected and instance.expected.status == "certified" for instance in matching)


def test_every_file_of_the_folder_is_a_shipped_instance() -> None:
    assert set(NAMES) == {path.stem for path in FOLDER.iterdir()}


@pytest.mark.parametrize("name", NAMES)
def test_problem_file_says_what_it_shows_and_what_to_expect(name: str) -> None:
    first = (FOLDER / f"{name}.toml").read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")
    assert first.endswith(".")
    expected = INSTANCES[name].expected
    assert expected is not None
    assert expected.status is not None
    assert expected.value is None or expected.source


@pytest.mark.parametrize("name", NAMES)
def test_problem_file_builds_into_finite_data_of_a_modest_size(name: str) -> None:
    instance = INSTANCES[name]
    built = instance.build()
    assert np.isfinite(built.X).all()
    assert built.X.shape[1] <= 20 or any(word in name for word in ("digits", "faces"))
    if isinstance(built.Z, Latent):
        assert built.normalize == "mean"
    elif built.Z is not None:
        assert np.isfinite(np.asarray(built.Z)).all()
        assert built.n_fake is None


@pytest.mark.parametrize("name", NAMES)
def test_name_of_a_problem_file_tells_its_pair(name: str) -> None:
    if "points" in name and not name.startswith("relu"):
        return  # the paper's own sets are named after their data
    discriminator, generator = INSTANCES[name].wgan.players
    regularizer = INSTANCES[name].wgan.regularizer
    skip = "_skip" if discriminator.skip else ""
    assert name.startswith(f"{discriminator.kind}{skip}_{generator.kind}_{regularizer.kind}")
    assert ("norm_bound" in name) == discriminator.norm_bound
    assert ("infeasible" in name) == (INSTANCES[name].expected.status == "infeasible")  # type: ignore[union-attr]


@pytest.mark.parametrize("name", [name for name in NAMES if INSTANCES[name].expected.status == "refused"])  # type: ignore[union-attr]
def test_pairs_expected_to_be_refused_have_a_relu_player(name: str) -> None:
    assert "relu" in {player.kind for player in INSTANCES[name].wgan.players}


def test_the_collection_has_population_noise_components_infeasible_and_real_data() -> None:
    kinds = {
        "population": any(isinstance(instance.noise, Latent) for instance in INSTANCES.values()),
        "components": any(instance.wgan.players[0].components for instance in INSTANCES.values()),
        "infeasible": any("infeasible" in name for name in NAMES),
        "digits": any("digits" in name for name in NAMES),
        "faces": any("faces" in name for name in NAMES),
    }
    assert all(kinds.values()), kinds
