"""Descent–ascent on whole problems: it ends where the certificates say that it ends, and never below the bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from convexwgan.baselines.descent_ascent import (
    OURS,
    PAPER,
    DescentAscentRun,
    DescentAscentSettings,
    _Game,
    descend_ascend,
)
from convexwgan.certificates.certificate import Status
from convexwgan.certificates.verify import verify
from convexwgan.errors import InputError, SolveError
from convexwgan.problem import Problem
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.generator import Generator
from convexwgan.spec.latent import Latent
from convexwgan.spec.regularizer import Regularizer

SHORT = DescentAscentSettings(generator_neurons=8, discriminator_neurons=16, learning_rate=1e-2, steps=60)


def data(n: int = 12, d: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, d)) * np.arange(1, d + 1)


def test_settings_of_the_paper() -> None:
    assert (PAPER.generator_neurons, PAPER.discriminator_neurons, PAPER.learning_rate) == (150, 150, 4e-6)


@pytest.mark.parametrize("generator", ["free", "linear"])
def test_a_long_run_approaches_the_certified_value_from_its_own_side(generator: str) -> None:
    X = data()
    wgan = Discriminator.quadratic(beta=5.0) + getattr(Generator, generator)()
    problem = Problem(wgan, X, None if generator == "free" else Latent.normal(2).draw(12, rng=1))
    solution = problem.solve()
    settings = DescentAscentSettings(discriminator_neurons=32, learning_rate=1e-2, betas=(0.5, 0.9), steps=1200)
    run = descend_ascend(problem, settings)
    verdict = run.distance(problem, solution.bound)
    assert solution.status is Status.CERTIFIED
    assert 0.0 <= verdict.excess < 0.3
    assert verdict.cost == pytest.approx(solution.value, rel=0.3)
    first = descend_ascend(problem, replace(settings, steps=1)).distance(problem, solution.bound)
    assert first.violation > 3 * verdict.violation


def test_the_run_is_what_verify_judges_and_never_certified_across_a_gap() -> None:
    problem = Problem(Discriminator.quadratic(beta=2.0) + Generator.free(), data())
    certificate = verify(problem, descend_ascend(problem, SHORT))
    assert certificate.status is not Status.CERTIFIED
    assert certificate.violation > 1e-3
    other = Problem(Discriminator.quadratic(beta=2.0) + Generator.free(), 2.0 * data())
    failed = verify(other, descend_ascend(problem, SHORT)).failed_checks
    assert any(check.name == "the data are the problem's" for check in failed)


def test_an_optimal_generator_has_no_distance() -> None:
    problem = Problem(Discriminator.quadratic(beta=2.0) + Generator.free(), data())
    solution = problem.solve()
    assert solution.generator is not None
    run = descend_ascend(problem, SHORT)
    perfect = DescentAscentRun(**{**run.__dict__, "generator": solution.generator.weights})
    verdict = perfect.distance(problem, solution.bound)
    assert verdict.violation <= 1e-9
    assert verdict.excess == pytest.approx(0.0, abs=1e-9)


def relu_games() -> dict[str, Problem]:
    """ReLU discriminators that have a certified bound, on the line and in the plane."""
    x, Z = np.random.default_rng(1).standard_normal((6, 1)), Latent.normal(2).draw(6, rng=0)
    line, plane = Discriminator.relu(beta=1.5, bias=True), Discriminator.relu(beta=0.6)
    return {
        "line, free": Problem(line + Generator.free(), x),
        "line, ReLU": Problem(line + Generator.relu(bias=True), x, Z),
        "line, linear": Problem(line + Generator.linear(), x, Z),
        "line, linear, weights": Problem(line + Generator.linear() + Regularizer.weights(1.0), x, Z),
        "plane, free": Problem(plane + Generator.free(), data(6)),
        "plane, linear": Problem(Discriminator.relu(beta=3.0) + Generator.linear(), data(6), Z),
    }


@pytest.mark.parametrize("name", relu_games())
def test_distance_from_the_certified_bound_is_a_number_for_relu_discriminators(name: str) -> None:
    problem = relu_games()[name]
    solution, run = problem.solve(time_limit=3.0), descend_ascend(problem, replace(SHORT, steps=300))
    assert solution.bound > 0.0
    certificate, verdict = verify(problem, run), run.distance(problem, solution.bound)
    dist, beta = problem.dist(run.output).value, problem.wgan.players[0].beta
    assert certificate.status is not Status.CERTIFIED
    assert certificate.violation == pytest.approx(max(0.0, dist - beta) / beta, rel=1e-6, abs=1e-9)
    assert certificate.upper == pytest.approx(verdict.cost)
    assert np.isfinite(verdict.cost)
    if certificate.violation == 0.0:
        assert verdict.cost >= solution.bound * (1.0 - 1e-9)
    if name in ("line, free", "line, ReLU"):  # those outputs can be moved towards the data
        assert 0.0 <= verdict.excess < np.inf


def test_a_network_that_pays_for_its_weights_on_the_line_is_bounded_by_its_longest_feature() -> None:
    x, Z = np.random.default_rng(1).standard_normal((6, 1)), Latent.normal(2).draw(6, rng=0)
    wgan = Discriminator.relu(beta=0.5, bias=True) + Generator.relu() + Regularizer.weights(1.0)
    problem = Problem(wgan, x, Z)
    run = descend_ascend(problem, SHORT)
    paid = 0.5 * sum(float(np.sum(part**2)) for part in run.generator)
    assert verify(problem, run).upper == pytest.approx(paid)


@pytest.mark.parametrize("bias", [False, True])
def test_the_networks_are_those_of_the_problem(bias: bool) -> None:
    X, Z = data(), Latent.normal(3).draw(12, rng=0)
    problem = Problem(Discriminator.relu(beta=0.5, bias=bias) + Generator.relu(bias=bias), X, Z)
    run = descend_ascend(problem, SHORT)
    W1, W2 = run.generator
    N = np.column_stack([Z.array, np.ones(12)]) if bias else Z.array
    assert W1.shape == (3 + bias, 8)
    assert np.allclose(run.output, np.maximum(N @ W1, 0.0) @ W2)
    assert run.claim.hidden is run.generator
    u, b, v, skip = run.neurons
    assert (u.shape, v.shape, b is not None, skip) == ((16, 2), (16,), bias, None)


@pytest.mark.parametrize("kind", ["linear", "quadratic", "relu"])
def test_the_decay_is_least_where_it_equals_the_sum_of_the_neurons_weights(kind: str) -> None:
    """min over a > 0 of R(u·a, v·a^−p) = ‖u‖^p|v|: weight decay as in Lemma 3.1."""
    problem = Problem(getattr(Discriminator, kind)(beta=1.0) + Generator.free(), data())
    game = _Game(problem, SHORT)
    p = 2 if kind == "quadratic" else 1
    u, v = 0.7, -1.9
    values = []
    for a in np.geomspace(0.05, 20.0, 4001):
        game.U, game.v = torch.tensor([[u * a], [0.0]]), torch.tensor([v * a**-p])
        values.append(float(game.decay()))
    assert min(values) == pytest.approx(u**p * abs(v), rel=1e-5)


@pytest.mark.parametrize("normalize", ["sum", "mean"])
def test_the_cost_is_the_problems(normalize: str) -> None:
    X, Z = data(), Latent.normal(2).draw(7, rng=0)
    for regularizer in (Regularizer.output(3.0), Regularizer.weights(3.0)):
        wgan = Discriminator.linear(beta=1.0) + Generator.linear() + regularizer
        problem = Problem(wgan, X, Z, normalize=normalize)  # type: ignore[arg-type]
        run = descend_ascend(problem, SHORT)
        assert verify(problem, run).upper == pytest.approx(
            0.5
            * 3.0
            * np.sum((run.output if regularizer.of == "output" else run.generator) ** 2)
            / (7 if normalize == "mean" and regularizer.of == "output" else 1)
        )


def test_seeds_reproduce_and_differ() -> None:
    problem = Problem(Discriminator.relu(beta=0.5, bias=True) + Generator.free(), data())
    first, again = descend_ascend(problem, SHORT), descend_ascend(problem, SHORT)
    other = descend_ascend(problem, replace(SHORT, seed=1))
    assert np.array_equal(first.output, again.output)
    assert np.array_equal(first.records, again.records)
    assert not np.allclose(first.output, other.output)


def test_records_and_outputs_belong_together_and_a_time_limit_stops() -> None:
    problem = Problem(Discriminator.quadratic(beta=2.0) + Generator.free(), data())
    run = descend_ascend(problem, replace(SHORT, steps=130))
    assert run.records[:, 0].tolist() == [1, 50, 100, 130]
    assert run.outputs.shape == (4, 12, 2)
    assert run.stopped == "steps"
    assert descend_ascend(problem, replace(SHORT, steps=10**9, seconds=0.1)).stopped == "seconds"


def test_divergence_is_an_error_with_the_step() -> None:
    problem = Problem(Discriminator.quadratic(beta=2.0) + Generator.free(), 1e60 * data())
    with pytest.raises(SolveError, match="diverged by step"):
        descend_ascend(problem, replace(SHORT, learning_rate=1e200, steps=200))


@pytest.mark.parametrize(
    "wgan",
    [
        Discriminator.quadratic(norm_bound=True) + Generator.free(),
        Discriminator.polynomial(1.0, 1.0, 0.0, beta=1.0) + Generator.free(),
        Discriminator.linear(beta=1.0) + Generator.free() + Regularizer.norm(1),
    ],
)
def test_pairs_that_it_does_not_train_are_refused(wgan: object) -> None:
    with pytest.raises(InputError, match=r"baseline trains|use Regularizer"):
        descend_ascend(Problem(wgan, data()), SHORT)  # type: ignore[arg-type]


def test_population_noise_and_another_problem_are_refused() -> None:
    population = Problem(
        Discriminator.linear(beta=1.0) + Generator.linear(), data() + 1.0, Latent.normal(2), normalize="mean"
    )
    with pytest.raises(InputError, match="sampled noise"):
        descend_ascend(population, SHORT)
    problem = Problem(Discriminator.quadratic(beta=2.0) + Generator.free(), data())
    other = Problem(Discriminator.quadratic(beta=2.0) + Generator.free(), 2.0 * data())
    with pytest.raises(InputError, match="be the one trained on"):
        descend_ascend(problem, SHORT).distance(other, 1.0)


@pytest.mark.parametrize("change", [{"steps": 0}, {"learning_rate": 0.0}, {"generator_neurons": 1.5}, {"seconds": -1}])
def test_settings_out_of_range_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(change))):
        replace(OURS, **change)  # type: ignore[arg-type]
