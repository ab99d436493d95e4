"""Lower bounds meet the closed forms of MATH §3, and never exceed the optimum, whatever the discriminator."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convexwgan.certificates import PlainClaim, Status, certify, gather
from convexwgan.certificates.adversary import Adversary
from convexwgan.certificates.bounds import discriminator_bound
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.generator import Generator
from convexwgan.spec.latent import Latent
from convexwgan.spec.regularizer import Regularizer

BETA = 8.0


def audited(wgan: Any, X: Any, claim: PlainClaim, **data: Any) -> Any:
    return certify(gather(wgan, X, **data), claim, tol=1e-6)


def assert_certified(audit: Any, value: float) -> None:
    certificate = audit.certificate
    assert certificate.status is Status.CERTIFIED, str(certificate)
    assert certificate.relative_gap <= 1e-8
    assert certificate.lower <= value * (1 + 1e-12) + 1e-15
    assert certificate.upper == pytest.approx(value, rel=1e-8)
    assert certificate.violation <= 1e-12


# ------------------------------------------------------------------------------------------ linear


@pytest.mark.parametrize("strength", [0.3, 1.0, 5.0])
def test_linear_output_weight_decay_is_closed_form(witness: Any, strength: float) -> None:
    wgan = Discriminator.linear(beta=BETA) + Generator.linear() + Regularizer.output(strength)
    s = max(0.0, np.linalg.norm(witness.m) - BETA)
    value = strength / 2 * s**2 / witness.rho
    claim = witness.linear(BETA, strength)
    audit = audited(wgan, witness.X, claim, Z=witness.Z)
    assert_certified(audit, value)
    np.testing.assert_allclose(audit.neurons_v @ audit.neurons_u, claim.neurons_v @ claim.neurons_u)


def test_linear_discriminator_of_any_length_is_rescaled_to_the_best_one(witness: Any) -> None:
    wgan = Discriminator.linear(beta=BETA) + Generator.linear()
    claim = witness.linear(BETA)
    scaled = PlainClaim(claim.weights, 7.0 * claim.neurons_u, 0.01 * claim.neurons_v)
    assert_certified(
        audited(wgan, witness.X, scaled, Z=witness.Z), 0.5 * (np.linalg.norm(witness.m) - BETA) ** 2 / witness.rho
    )


def test_linear_discriminator_is_found_where_none_is_given(witness: Any) -> None:
    wgan = Discriminator.linear(beta=BETA) + Generator.linear()
    audit = audited(wgan, witness.X, PlainClaim(witness.linear(BETA).weights), Z=witness.Z)
    assert audit.certificate.status is Status.CERTIFIED
    assert audit.neurons_u.shape == (1, 4)


def test_linear_free_norm_bound_moves_the_mean_by_the_cheap_amount(witness: Any) -> None:
    strength, n_f = 2.0, 7
    wgan = Discriminator.linear(norm_bound=True) + Generator.free() + Regularizer.output(strength)
    norm = float(np.linalg.norm(witness.m))
    moved = min(norm, n_f / strength)
    G = np.outer(np.ones(n_f), witness.m / norm * moved) / n_f
    value = norm - moved + strength / 2 * moved**2 / n_f
    assert_certified(audited(wgan, witness.X, PlainClaim(G), n_fake=n_f), value)


def test_linear_weights_cost_is_paid_on_the_mean_of_the_noise(witness: Any) -> None:
    wgan = Discriminator.linear(beta=BETA) + Generator.linear() + Regularizer.weights(2.0)
    norm = float(np.linalg.norm(witness.m))
    s = witness.m * (1 - BETA / norm)
    W = np.outer(witness.z_bar, s) / (witness.z_bar @ witness.z_bar)
    assert_certified(audited(wgan, witness.X, PlainClaim(W), Z=witness.Z), float(np.vdot(W, W)))


def test_linear_population_noise_with_small_mean_needs_no_generator() -> None:
    wgan = Discriminator.linear(beta=2.0) + Generator.linear()
    X = np.array([[1.0, 0.0], [0.0, 1.0]])
    audit = audited(wgan, X, PlainClaim(np.zeros((3, 2))), latent=Latent.normal(3), normalize="mean")
    assert_certified(audit, 0.0)


@pytest.mark.parametrize("of", ["weights", "output"])
@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("norm_bound", [False, True])
def test_norm_costs_are_bounded_by_the_dual_norm(witness: Any, p: float, of: Any, norm_bound: bool) -> None:
    """d = 1 has closed forms: min strength·‖W‖_p s.t. z̄ᵀW = s, and ‖G‖_p s.t. 1ᵀG = s for a free G."""
    X, strength, q = witness.X[:, :1], 0.01, math.inf if p == 1 else 1.0 if p == math.inf else p / (p - 1)
    m = float(X.sum())
    target = m if norm_bound else m - math.copysign(2.0, m)
    a = witness.z_bar if of == "weights" else np.ones(9)
    dual_norm = float(np.linalg.norm(a, q))
    if p == math.inf:
        direction = np.sign(a)
    elif p == 1.0:
        direction = np.where(np.abs(a) == np.abs(a).max(), np.sign(a), 0.0)
        direction *= np.cumsum(np.abs(direction)) == 1
    else:
        direction = np.sign(a) * np.abs(a) ** (q - 1)
    claim = PlainClaim((direction / (a @ direction) * target)[:, None])
    discriminator = Discriminator.linear(norm_bound=True) if norm_bound else Discriminator.linear(beta=2.0)
    regularizer = Regularizer.norm(p, strength, of=of)
    generator, data = (Generator.linear(), {"Z": witness.Z}) if of == "weights" else (Generator.free(), {"n_fake": 9})
    audit = audited(discriminator + generator + regularizer, X, claim, **data)
    assert_certified(audit, strength * abs(target) / dual_norm)


def test_output_multiplier_is_projected_onto_its_equality(witness: Any, rng: np.random.Generator) -> None:
    """‖ZW‖_F with s = target is least at ZW = P_Z 1 sᵀ/ρ: the multiplier is H = P_Z 1 yᵀ, found by projection."""
    norm = float(np.linalg.norm(witness.m))
    s = witness.m * (1 - BETA / norm)
    W = np.outer(np.linalg.pinv(witness.Z.T @ witness.Z) @ witness.z_bar, s) / witness.rho
    wgan = Discriminator.linear(beta=BETA) + Generator.linear() + Regularizer.norm(2, 3.0)
    y = witness.m / norm * 3.0 / math.sqrt(witness.rho)
    projected_ones = witness.Z @ np.linalg.pinv(witness.Z) @ np.ones(25)
    wrong = np.outer(projected_ones, y) + 1e-3 * witness.Z @ rng.standard_normal((6, 4))
    claim = PlainClaim(W, (y / np.linalg.norm(y))[None, :], np.array([np.linalg.norm(y)]), None, wrong)
    audit = audited(wgan, witness.X, claim, Z=witness.Z)
    assert_certified(audit, 3.0 * np.linalg.norm(s) / math.sqrt(witness.rho))
    np.testing.assert_allclose(
        witness.Z.T @ audit.output_multiplier,
        np.outer(witness.z_bar, audit.neurons_v @ audit.neurons_u),
        atol=1e-12,
    )


def custom(value: Any = None, conjugate: Any = None) -> Regularizer:
    return Regularizer.custom(lambda W: W, of="weights", value=value, conjugate=conjugate)


def test_custom_cost_with_its_conjugate_is_certified_and_recorded_as_assumed(witness: Any) -> None:
    regularizer = custom(lambda W: 0.5 * float(np.sum(W**2)), lambda Y: 0.5 * float(np.sum(Y**2)))
    wgan = Discriminator.linear(beta=BETA) + Generator.linear() + regularizer
    norm = float(np.linalg.norm(witness.m))
    s = witness.m * (1 - BETA / norm)
    W = np.outer(witness.z_bar, s) / (witness.z_bar @ witness.z_bar)
    length = np.linalg.norm(s) / (witness.z_bar @ witness.z_bar)
    claim = PlainClaim(W, witness.m[None, :] / norm, np.array([length]))
    audit = audited(wgan, witness.X, claim, Z=witness.Z)
    assert_certified(audit, 0.5 * float(np.vdot(W, W)))
    assert any("assumed" in check.detail for check in audit.certificate.checks)


@pytest.mark.parametrize("value", [None, lambda W: 0.0])
def test_custom_cost_without_conjugate_is_unverified(witness: Any, value: Any) -> None:
    wgan = Discriminator.linear(beta=BETA) + Generator.linear() + custom(value)
    audit = audited(wgan, witness.X, witness.linear(BETA), Z=witness.Z)
    assert audit.certificate.status is Status.UNVERIFIED
    assert audit.certificate.lower == -math.inf
    assert math.isinf(audit.certificate.upper) == (value is None)


def test_a_false_conjugate_that_lifts_the_bound_above_the_value_is_unverified(witness: Any) -> None:
    regularizer = custom(lambda W: 0.5 * float(np.sum(W**2)), lambda Y: 0.1 * float(np.sum(Y**2)))
    wgan = Discriminator.linear(beta=BETA) + Generator.linear() + regularizer
    norm, z = float(np.linalg.norm(witness.m)), witness.z_bar
    s = witness.m * (1 - BETA / norm)
    claim = PlainClaim(np.outer(z, s) / (z @ z), witness.m[None, :] / norm, np.array([np.linalg.norm(s) / (z @ z)]))
    audit = audited(wgan, witness.X, claim, Z=witness.Z)
    assert audit.certificate.status is Status.UNVERIFIED


# --------------------------------------------------------------------------------------- quadratic


@pytest.mark.parametrize("beta", [1.5, 20.0, 60.0, 1e4])
@pytest.mark.parametrize("strength", [0.5, 3.0])
def test_quadratic_output_weight_decay_is_closed_form(witness: Any, beta: float, strength: float) -> None:
    wgan = Discriminator.quadratic(beta=beta) + Generator.linear() + Regularizer.output(strength)
    value = strength / 2 * float(np.maximum(np.linalg.eigvalsh(witness.M) - beta, 0).sum())
    assert_certified(audited(wgan, witness.X, witness.quadratic(beta, strength), Z=witness.Z), value)


def test_quadratic_dual_of_dependent_neurons_is_diagonalised_and_clipped(witness: Any) -> None:
    """Twice the optimal R as k + 2 dependent neurons of wrong lengths still proves the optimum."""
    wgan, claim = Discriminator.quadratic(beta=20.0) + Generator.linear(), witness.quadratic(20.0)
    u, v = claim.neurons_u, claim.neurons_v
    spread = PlainClaim(claim.weights, np.vstack([2 * u, u, u]), np.concatenate([0.3 * v, v, -0.2 * v]))
    audit = audited(wgan, witness.X, spread, Z=witness.Z)
    assert_certified(audit, 0.5 * float(np.maximum(np.linalg.eigvalsh(witness.M) - 20.0, 0).sum()))
    np.testing.assert_allclose(np.linalg.norm(audit.neurons_u, axis=1), 1.0)


def test_more_neurons_than_dimensions_are_diagonalised(witness: Any, rng: np.random.Generator) -> None:
    wgan, claim = Discriminator.quadratic(beta=20.0) + Generator.linear(), witness.quadratic(20.0)
    root = np.sqrt(claim.neurons_v)[:, None] * claim.neurons_u
    mixed = np.linalg.qr(rng.standard_normal((9, 9)))[0][:, : len(root)] @ root
    spread = PlainClaim(claim.weights, mixed, np.ones(9))
    audit = audited(wgan, witness.X, spread, Z=witness.Z)
    assert_certified(audit, 0.5 * float(np.maximum(np.linalg.eigvalsh(witness.M) - 20.0, 0).sum()))


def test_quadratic_norm_bound_keeps_the_components_that_beta_g_pays_for(witness: Any) -> None:
    """MATH 3.6: j = ⌊2/β_g⌋ = 2, t = σ²_3."""
    strength, (sigma2, V) = 0.8, (np.linalg.eigvalsh(witness.M)[::-1], np.linalg.eigh(witness.M)[1][:, ::-1])
    t = sigma2[2]
    claim = witness.quadratic(t * (1 + 1e-15), strength)
    value = t + strength / 2 * float((sigma2[:2] - t).sum())
    v = np.array([strength / 2, strength / 2, 1 - strength])
    wgan = Discriminator.quadratic(norm_bound=True) + Generator.linear() + Regularizer.output(strength)
    claim = PlainClaim(claim.weights, V[:, :3].T, v)
    assert_certified(audited(wgan, witness.X, claim, Z=witness.Z), value)


@pytest.mark.parametrize("strength", [0.5, 2.0])
@pytest.mark.parametrize("beta", [2.5, 20.0])
def test_skip_is_closed_form(witness: Any, beta: float, strength: float) -> None:
    wgan = Discriminator.quadratic(beta=beta, skip=True) + Generator.linear() + Regularizer.output(strength)
    gamma = np.linalg.eigvalsh(witness.M - np.outer(witness.m, witness.m) / witness.rho)
    value = strength / 2 * (witness.m @ witness.m / witness.rho + float(np.maximum(gamma - beta, 0).sum()))
    claim = witness.skip(beta, strength)
    audit = audited(wgan, witness.X, claim, Z=witness.Z)
    assert_certified(audit, value)
    np.testing.assert_allclose(audit.skip, claim.skip, atol=1e-10)


def test_skip_vector_of_the_claim_is_not_believed(witness: Any) -> None:
    wgan = Discriminator.quadratic(beta=20.0, skip=True) + Generator.linear()
    claim = witness.skip(20.0)
    lying = PlainClaim(claim.weights, claim.neurons_u, claim.neurons_v, 1e6 * np.ones(4))
    audit = audited(wgan, witness.X, lying, Z=witness.Z)
    assert audit.certificate.status is Status.CERTIFIED
    np.testing.assert_allclose(audit.skip, claim.skip, atol=1e-10)


# -------------------------------------------------------------------------------------- polynomial


@pytest.mark.parametrize("coefficients", [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, -2.0, 0.0), (-1.0, 0.0, 0.0)])
def test_polynomial_special_cases_are_linear_and_quadratic(witness: Any, coefficients: Any) -> None:
    a, b, _ = coefficients
    wgan = Discriminator.polynomial(*coefficients, beta=BETA) + Generator.linear()
    claim = witness.quadratic(BETA) if a else witness.linear(BETA / abs(b))
    claim = PlainClaim(claim.weights, claim.neurons_u, claim.neurons_v / (a or b))
    if a:
        value = 0.5 * float(np.maximum(np.linalg.eigvalsh(witness.M) - BETA, 0).sum())
    else:
        value = 0.5 * (np.linalg.norm(witness.m) - BETA / abs(b)) ** 2 / witness.rho
    assert_certified(audited(wgan, witness.X, claim, Z=witness.Z), value)


def test_polynomial_in_one_dimension_meets_a_brute_force_minimum() -> None:
    """d = 1, free: minimise S/2 over (S, s) with s² ≤ n_f S and dist ≤ β by a fine search over s."""
    X, beta, n_f, (a, b, c) = np.array([[3.0], [2.0], [2.5], [-1.0]]), 4.0, 5, (1.0, 1.5, 0.2)
    M, m, gap = float((X**2).sum()), float(X.sum()), c * (4 - n_f)
    grid = np.linspace(-1, 1, 801)

    def dist(S: float, s: float) -> float:
        return float(np.abs(a * (M - S) * grid**2 + b * (m - s) * grid + gap).max())

    def least_S(s: float) -> float:
        low, high = s**2 / n_f, max(M, s**2 / n_f)
        if dist(low, s) <= beta:
            return low
        if dist(high, s) > beta:
            return math.inf
        for _ in range(60):
            low, high = ((low + high) / 2, high) if dist((low + high) / 2, s) > beta else (low, (low + high) / 2)
        return high

    best = min((least_S(s), s) for s in np.linspace(0, 2 * m, 1201))
    wgan = Discriminator.polynomial(a, b, c, beta=beta) + Generator.free()
    evidence = gather(wgan, X, n_fake=n_f)
    angles = np.linspace(0, 2 * np.pi, 49)
    bounds = [
        discriminator_bound(evidence, Adversary(np.array([[u], [w]]), np.array([np.cos(t), np.sin(t)]))).value
        for u in grid[::80]
        for w in grid[::80]
        for t in angles
    ]
    assert max(bounds) <= best[0] / 2 * (1 + 1e-9)
    assert max(bounds) >= best[0] / 2 * (1 - 5e-3)
    spread = np.sqrt(max(0.0, best[0] - best[1] ** 2 / n_f) / n_f)
    G = best[1] / n_f + spread * np.sqrt(n_f) * np.array([1.0, -1.0, 0, 0, 0])[:, None] / np.sqrt(2)
    audit = certify(evidence, PlainClaim(G), tol=1e-2)
    assert audit.certificate.violation <= 1e-9


# --------------------------------------------------------------------------------- never too high


@given(seed=st.integers(0, 10_000), kind=st.sampled_from(["linear", "quadratic", "skip", "polynomial"]))
def test_no_discriminator_proves_more_than_a_feasible_generator_attains(seed: int, kind: str) -> None:
    """Weak duality: random discriminators against the value of the generator G = X, which has dist = 0."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((8, 3)) @ np.diag([3, 1, 0.1]) + rng.standard_normal(3)
    norm_bound = bool(rng.integers(2))
    how: dict[str, Any] = {"norm_bound": True} if norm_bound else {"beta": float(rng.exponential())}
    discriminator = {
        "linear": lambda: Discriminator.linear(**how),
        "quadratic": lambda: Discriminator.quadratic(**how),
        "skip": lambda: Discriminator.quadratic(skip=True, **how),
        "polynomial": lambda: Discriminator.polynomial(1.0, float(rng.normal()), 0.3, **how),
    }[kind]()
    evidence = gather(discriminator + Generator.free(), X)
    upper = certify(evidence, PlainClaim(X), tol=1e-6).certificate.upper
    for _ in range(5):
        k = int(rng.integers(1, 7))
        u, v = rng.standard_normal((k, 3)), rng.standard_normal(k) * 10 ** rng.uniform(-3, 2)
        bound = discriminator_bound(evidence, Adversary(u, v))
        assert bound.value <= upper * (1 + 1e-12)
        assert bound.rounding >= 0
        again = discriminator_bound(evidence, bound.adversary)
        assert again.value >= bound.value - 1e-9 * abs(bound.value) - 1e-12


@pytest.mark.parametrize(
    "wrong",
    [
        {"neurons_u": np.full((1, 4), np.nan), "neurons_v": np.ones(1)},
        {"neurons_u": np.ones((2, 3)), "neurons_v": np.ones(2)},
        {"neurons_u": np.ones((2, 4)), "neurons_v": np.ones(3)},
        {"neurons_u": np.array([["a"] * 4]), "neurons_v": np.ones(1)},
        {"weights": np.zeros((5, 4))},
        {"weights": np.full((6, 4), np.inf)},
        {"weights": np.full((6, 4), 1e200)},
        {"weights": "not an array"},
    ],
)
def test_malformed_claims_are_never_certified(witness: Any, wrong: dict[str, Any]) -> None:
    wgan, claim = Discriminator.quadratic(beta=20.0) + Generator.linear(), witness.quadratic(20.0)
    parts = {"weights": claim.weights, "neurons_u": claim.neurons_u, "neurons_v": claim.neurons_v} | wrong
    audit = audited(wgan, witness.X, PlainClaim(**parts), Z=witness.Z)
    assert audit.certificate.status is Status.UNVERIFIED


# ------------------------------------------------------------------------------- scales and shapes


@pytest.mark.parametrize("c", [1e-8, 1e-3, 1e5])
def test_certificates_are_invariant_under_the_units_of_the_data(witness: Any, c: float) -> None:
    for name, beta, power in (("linear", BETA, 1), ("quadratic", 20.0, 2), ("skip", 20.0, 2)):
        claim = getattr(witness, name)(beta)
        discriminator = {
            "linear": lambda b: Discriminator.linear(beta=b),
            "quadratic": lambda b: Discriminator.quadratic(beta=b),
            "skip": lambda b: Discriminator.quadratic(beta=b, skip=True),
        }[name](beta * c**power)
        scaled = PlainClaim(c * claim.weights, claim.neurons_u, claim.neurons_v * (c if power == 1 else 1))
        plain = getattr(witness, name)(beta)
        audit = audited(discriminator + Generator.linear(), c * witness.X, scaled, Z=witness.Z)
        evidence = gather(discriminator + Generator.linear(), c * witness.X, Z=witness.Z)
        value = 0.5 * c**2 * float(np.linalg.norm(witness.Z @ plain.weights) ** 2)
        assert evidence.beta == beta * c**power
        assert audit.certificate.status is Status.CERTIFIED, str(audit.certificate)
        assert audit.certificate.lower <= value * (1 + 1e-12)
        assert audit.certificate.upper == pytest.approx(value, rel=1e-8)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 7), (9, 1)])
@pytest.mark.parametrize("n_fake", [1, 3])
@pytest.mark.parametrize("normalize", ["sum", "mean"])
def test_small_shapes_are_certified(rng: np.random.Generator, shape: Any, n_fake: int, normalize: Any) -> None:
    """One sample, one dimension, n_r < d, n_f ≠ n_r; β keeps one component, MATH 3.2."""
    X = rng.standard_normal(shape)
    M = X.T @ X * (1.0 if normalize == "sum" else 1 / len(X))
    sigma2, V = np.linalg.eigvalsh(M)[::-1], np.linalg.eigh(M)[1][:, ::-1]
    beta = 0.5 * (sigma2[0] + (sigma2[1] if len(sigma2) > 1 else 0.0))
    G = np.zeros((n_fake, shape[1]))
    G[0] = np.sqrt((sigma2[0] - beta) * (1 if normalize == "sum" else n_fake)) * V[:, 0]
    claim = PlainClaim(G, V[:, :1].T, np.array([0.5]))
    wgan = Discriminator.quadratic(beta=beta) + Generator.free()
    audit = audited(wgan, X, claim, n_fake=n_fake, normalize=normalize)
    assert_certified(audit, 0.5 * (sigma2[0] - beta))


def test_a_beta_above_everything_is_met_by_zero_and_the_zero_discriminator(witness: Any) -> None:
    for discriminator in (
        Discriminator.quadratic(beta=1e6),
        Discriminator.polynomial(1.0, 1.0, 0.0, beta=1e6),
        Discriminator.linear(beta=1e6),
    ):
        wgan = discriminator + Generator.linear()
        audit = audited(wgan, witness.X, PlainClaim(np.zeros((6, 4))), Z=witness.Z)
        assert_certified(audit, 0.0)
        assert audit.neurons_u is None or len(audit.neurons_v) == 0
