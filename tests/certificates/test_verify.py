"""A tampered or wrong solution is never CERTIFIED."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from convexwgan.certificates import PlainClaim, Status, certify, gather, verify
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.generator import Generator
from convexwgan.spec.regularizer import Regularizer


@dataclass(frozen=True, eq=False)
class Problem:
    wgan: Any
    X: Any
    Z: Any = None
    latent: Any = None
    n_fake: int | None = None
    normalize: Any = "sum"

    def fingerprint(self) -> str:
        return hashlib.sha256(np.asarray(self.X).tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class Solution:
    claim: PlainClaim
    wgan: Any
    fingerprint: str | None
    tol: float = 1e-6


def solved(problem: Problem, claim: PlainClaim, tol: float = 1e-6) -> Solution:
    """What an honest solver stores: the audited arrays with their certified numbers."""
    evidence = gather(problem.wgan, problem.X, Z=problem.Z, n_fake=problem.n_fake, normalize=problem.normalize)
    audit = certify(evidence, claim, tol=tol)
    certificate = audit.certificate
    arrays = (audit.weights, audit.neurons_u, audit.neurons_v, audit.skip, audit.output_multiplier)
    infeasible = certificate.infeasibility is not None
    numbers = (None, None) if infeasible else (certificate.upper, certificate.lower)
    return Solution(PlainClaim(*arrays, *numbers), problem.wgan, problem.fingerprint(), tol)


def pairs(witness: Any) -> dict[str, tuple[Problem, PlainClaim]]:
    linear, quadratic = Generator.linear(), Discriminator.quadratic(beta=20.0)
    skip, weights = Discriminator.quadratic(beta=20.0, skip=True), Regularizer.weights(1.0)
    a, b = Discriminator.polynomial(1.0, 0.0, 0.0, beta=20.0), Discriminator.linear(beta=8.0)
    norm = Discriminator.quadratic(norm_bound=True)
    sigma2, V = np.linalg.eigvalsh(witness.M)[::-1], np.linalg.eigh(witness.M)[1][:, ::-1]
    v = np.array([0.4, 0.4, 0.2])
    cap = PlainClaim(witness.quadratic(sigma2[2] * (1 + 1e-15), 0.8).weights, V[:, :3].T, v)
    return {
        "linear": (Problem(b + linear, witness.X, witness.Z), witness.linear(8.0)),
        "quadratic": (Problem(quadratic + linear, witness.X, witness.Z), witness.quadratic(20.0)),
        "skip": (Problem(skip + linear, witness.X, witness.Z), witness.skip(20.0)),
        "polynomial": (Problem(a + linear, witness.X, witness.Z), witness.quadratic(20.0)),
        "weights": (Problem(quadratic + linear + weights, witness.X, witness.Z), witness.quadratic(20.0)),
        "norm_bound": (Problem(norm + linear + Regularizer.output(0.8), witness.X, witness.Z), cap),
    }


NAMES = ["linear", "quadratic", "skip", "polynomial", "weights", "norm_bound"]


@pytest.fixture(params=NAMES)
def honest(request: pytest.FixtureRequest, witness: Any) -> tuple[Problem, Solution]:
    problem, claim = pairs(witness)[request.param]
    return problem, solved(problem, claim)


def edited(solution: Solution, **claim: Any) -> Solution:
    return dataclasses.replace(solution, claim=dataclasses.replace(solution.claim, **claim))


def assert_refused(problem: Problem, solution: Solution) -> None:
    certificate = verify(problem, solution)
    assert certificate.status is not Status.CERTIFIED, str(certificate)


def test_an_honest_solution_is_certified(honest: tuple[Problem, Solution]) -> None:
    certificate = verify(*honest)
    assert certificate.status is Status.CERTIFIED, str(certificate)
    assert certificate.relative_gap <= 1e-8
    assert dataclasses.replace(honest[1], fingerprint=None).claim.value is not None


def test_an_honest_float32_solution_is_certified(honest: tuple[Problem, Solution]) -> None:
    problem, solution = honest
    claim = solution.claim
    arrays = [claim.weights, claim.neurons_u, claim.neurons_v, claim.skip]
    rounded = PlainClaim(*(None if a is None else np.float32(a) for a in arrays))
    stored = solved(problem, rounded, tol=1e-4)
    stored = edited(stored, **{
        name: None if getattr(stored.claim, name) is None else np.float32(getattr(stored.claim, name))
        for name in ("neurons_u", "neurons_v", "skip")
    })  # fmt: skip
    certificate = verify(problem, stored)
    assert certificate.status is Status.CERTIFIED, str(certificate)


@pytest.mark.parametrize("size", [1e-7, 1e-5, 1e-3, 1.0])
def test_perturbed_weights_are_refused(honest: tuple[Problem, Solution], rng: np.random.Generator, size: float) -> None:
    problem, solution = honest
    W = solution.claim.weights
    scale = np.abs(W).max()
    for shake in (size * scale * rng.standard_normal(W.shape), size * W, -size * W):
        assert_refused(problem, edited(solution, weights=W + shake))


def test_other_weights_are_refused(honest: tuple[Problem, Solution]) -> None:
    problem, solution = honest
    W = solution.claim.weights
    for other in (None, 0 * W, -2 * W, W[::-1].copy(), np.full_like(W, np.nan), W[:, :2], W.T):
        assert_refused(problem, edited(solution, weights=other))


@pytest.mark.parametrize("factor", [0.0, 0.5, 0.999999, 1.000001, 2.0, -1.0, math.nan])
def test_scaled_duals_are_refused(honest: tuple[Problem, Solution], factor: float) -> None:
    problem, solution = honest
    if solution.claim.neurons_v is None:
        pytest.skip("a spectral bound claims no discriminator")
    if factor in (0.999999, 1.000001) and problem.wgan.discriminator.kind == "linear":
        factor = 1 + 100 * (factor - 1)  # the bound is stationary in the length of y
    assert_refused(problem, edited(solution, neurons_v=factor * solution.claim.neurons_v))


def test_swapped_duals_are_refused(honest: tuple[Problem, Solution], rng: np.random.Generator) -> None:
    problem, solution = honest
    claim = solution.claim
    u = rng.standard_normal((2, 4))
    u /= np.linalg.norm(u, axis=1)[:, None]
    v = np.full(2, 0.5)
    assert_refused(problem, edited(solution, neurons_u=u, neurons_v=v))
    if claim.neurons_u is None:
        return
    turned = claim.neurons_u @ np.linalg.qr(rng.standard_normal((4, 4)))[0]
    assert_refused(problem, edited(solution, neurons_u=turned))
    assert_refused(problem, edited(solution, neurons_u=1.001 * claim.neurons_u))
    assert_refused(problem, edited(solution, neurons_u=claim.neurons_u[:, :3]))
    padded_u, padded_v = np.vstack([claim.neurons_u, u[:1], u[:1]]), np.append(claim.neurons_v, [0.3, -0.3])
    assert_refused(problem, edited(solution, neurons_u=padded_u, neurons_v=padded_v))


def test_a_swapped_skip_vector_is_refused(witness: Any) -> None:
    problem, claim = pairs(witness)["skip"]
    solution = solved(problem, claim)
    for skip in (None, 0 * solution.claim.skip, 1.001 * solution.claim.skip, -solution.claim.skip):
        assert_refused(problem, edited(solution, skip=skip))


@pytest.mark.parametrize("factor", [1 - 1e-6, 1 + 1e-6, 0.0, 2.0, -1.0, math.nan, math.inf])
def test_edited_numbers_are_refused(honest: tuple[Problem, Solution], factor: float) -> None:
    problem, solution = honest
    assert_refused(problem, edited(solution, value=solution.claim.value * factor))
    if not factor < 1:  # a bound that claims less than is proven is true
        assert_refused(problem, edited(solution, bound=solution.claim.bound * factor))


def test_a_shrunk_beta_is_refused(witness: Any) -> None:
    for name in ("linear", "quadratic", "skip", "polynomial", "weights"):
        problem, claim = pairs(witness)[name]
        solution = solved(problem, claim)
        beta = problem.wgan.discriminator.beta
        for factor in (0.5, 1 - 1e-6, 1 + 1e-6):
            other = dataclasses.replace(problem.wgan.discriminator, beta=factor * beta)
            wgan = dataclasses.replace(problem.wgan, discriminator=other)
            assert_refused(problem, dataclasses.replace(solution, wgan=wgan))
            assert_refused(dataclasses.replace(problem, wgan=wgan), solution)
            if factor < 1:
                everywhere = dataclasses.replace(solution, wgan=wgan)
                assert_refused(dataclasses.replace(problem, wgan=wgan), everywhere)


def test_other_data_are_refused(honest: tuple[Problem, Solution]) -> None:
    problem, solution = honest
    other = dataclasses.replace(problem, X=problem.X * (1 + 1e-12))
    assert_refused(other, solution)
    assert_refused(
        dataclasses.replace(problem, X=problem.X[::-1] * 1.01), dataclasses.replace(solution, fingerprint=None)
    )


@pytest.mark.parametrize("tol", [10.0, 0.5, 0.0, -1.0, math.nan, math.inf])
def test_a_tolerance_that_is_none_is_refused(honest: tuple[Problem, Solution], tol: float) -> None:
    problem, solution = honest
    assert_refused(problem, dataclasses.replace(solution, tol=tol))


def test_other_architectures_are_refused(witness: Any) -> None:
    problem, claim = pairs(witness)["quadratic"]
    solution = solved(problem, claim)
    for wgan in (
        problem.wgan.discriminator + Generator.linear() + Regularizer.output(1.1),
        Discriminator.quadratic(beta=20.0, skip=True) + Generator.linear(),
        problem.wgan.discriminator + Generator.free(),
        None,
    ):
        assert_refused(problem, dataclasses.replace(solution, wgan=wgan))


def test_an_infeasible_claim_is_proven_again(witness: Any) -> None:
    problem = Problem(Discriminator.quadratic(beta=1.0) + Generator.free(), witness.X, n_fake=2)
    solution = solved(problem, PlainClaim())
    assert verify(problem, solution).status is Status.INFEASIBLE
    feasible = dataclasses.replace(problem, n_fake=4)
    assert verify(feasible, solution).status is not Status.INFEASIBLE
    assert_refused(problem, edited(solution, weights=np.ones((2, 4)), value=1.0, bound=1.0))


def test_a_ray_travels_with_the_solution() -> None:
    X = np.array([[2.0, 0.0], [2.0, 0.1]])
    Z = np.array([[1.05, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    wgan = Discriminator.polynomial(0.1, 1.0, 0.0, beta=0.5) + Generator.linear()
    problem = Problem(wgan, X, Z, normalize="mean")
    ray = PlainClaim(None, np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([0.5, -0.5]))
    solution = solved(problem, ray)
    assert verify(problem, solution).status is Status.INFEASIBLE
    assert_refused(problem, edited(solution, neurons_v=0 * solution.claim.neurons_v))
    assert verify(problem, edited(solution, neurons_u=None, neurons_v=None)).status is Status.FAILED


def test_custom_functions_compare_by_identity(witness: Any) -> None:
    def build() -> Any:
        regularizer = Regularizer.custom(
            lambda W: W, "weights", lambda W: 0.5 * float(np.sum(W**2)), lambda Y: 0.5 * float(np.sum(Y**2))
        )
        return Discriminator.linear(beta=8.0) + Generator.linear() + regularizer

    norm, z = np.linalg.norm(witness.m), witness.z_bar
    s = witness.m * (1 - 8.0 / norm)
    claim = PlainClaim(np.outer(z, s) / (z @ z), witness.m[None, :] / norm, np.array([np.linalg.norm(s) / (z @ z)]))
    problem = Problem(build(), witness.X, witness.Z)
    solution = solved(problem, claim)
    assert verify(problem, solution).status is Status.CERTIFIED
    assert_refused(problem, dataclasses.replace(solution, wgan=build()))


@pytest.mark.parametrize("factor", [0.5, 0.999, 0.0])
def test_a_weaker_discriminator_with_a_weaker_bound_is_refused(honest: tuple[Problem, Solution], factor: float) -> None:
    """The spectral bound closes the gap, but the stored discriminator does not: it is not the optimal adversary."""
    problem, solution = honest
    claim = solution.claim
    if claim.neurons_v is None:
        pytest.skip("a spectral bound claims no discriminator")
    for bound in (factor * claim.bound, None):
        weaker = edited(solution, neurons_v=factor**4 * claim.neurons_v, bound=bound)
        assert_refused(problem, weaker)


def test_a_discriminator_is_refused_where_none_is_optimal(witness: Any) -> None:
    problem, claim = pairs(witness)["weights"]
    solution = solved(problem, claim)
    assert solution.claim.neurons_v is None
    assert_refused(problem, edited(solution, neurons_u=claim.neurons_u, neurons_v=claim.neurons_v))
