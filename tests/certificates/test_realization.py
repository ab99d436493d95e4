"""Certificates of ReLU weights: true bounds for honest claims, and no CERTIFIED for tampered ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan.certificates import Status
from convexwgan.certificates.pricing import price_bound
from convexwgan.certificates.realization import certify_realization, certify_soft
from convexwgan.certificates.relaxation import Multipliers, relaxation_bound
from convexwgan.certificates.relu_bounds import factor_bracket, phi_star
from convexwgan.certificates.unreachable import annihilation_bound
from convexwgan.certificates.wide_cells import SHARP, pointedness, sharpened
from convexwgan.errors import InputError
from convexwgan.geometry.arrangements import Arrangement, enumerate_cells
from convexwgan.geometry.bitsets import Incidence
from convexwgan.geometry.reachability import reachability


@dataclass(frozen=True)
class Planted:
    """A target whose cheapest network and multiplier are known."""

    Z: np.ndarray
    G: np.ndarray
    W1: np.ndarray
    W2: np.ndarray
    R: np.ndarray
    value: float


def one_neuron(rng: np.random.Generator, n: int, d: int, d_r: int, cost: float = 2.0) -> Planted:
    """R first: its pricing maximiser u is the neuron, v = Rᵀ(Zu)₊ its direction. Optimal by weak duality."""
    Z, R = rng.standard_normal((n, d)), rng.standard_normal((n, d_r))
    u = price_bound(Z, R).u
    v = R.T @ np.maximum(Z @ u, 0.0)
    v *= cost / np.linalg.norm(v)
    return Planted(Z, np.outer(np.maximum(Z @ u, 0.0), v), np.sqrt(cost) * u[:, None], v[None] / np.sqrt(cost), R, cost)


def many_neurons(rng: np.random.Generator, d: int, k: int) -> Planted:
    """Z = R = I: every nonnegative unit u is a maximiser, and G = Σ c_j u_ju_jᵀ costs tr G = Σ c_j."""
    U, c = np.abs(rng.standard_normal((k, d))), rng.uniform(0.5, 2.0, k)
    U /= np.linalg.norm(U, axis=1, keepdims=True)
    root = np.sqrt(c)[:, None]
    return Planted(np.eye(d), U.T @ (c[:, None] * U), (root * U).T, root * U, np.eye(d), float(c.sum()))


def sampled_price(Z: np.ndarray, R: np.ndarray, rng: np.random.Generator, samples: int = 20_000) -> float:
    U = rng.standard_normal((samples, Z.shape[1]))
    U /= np.linalg.norm(U, axis=1, keepdims=True)
    return float(np.linalg.norm(np.maximum(U @ Z.T, 0.0) @ R, axis=1).max())


# ------------------------------------------------------------------------------------------ honest claims


@pytest.mark.parametrize(("n", "d"), [(5, 1), (40, 2), (30, 3), (12, 4), (3, 6)])
@pytest.mark.parametrize("d_r", [1, 3])
def test_planted_neuron_is_certified_at_its_cost(n: int, d: int, d_r: int, rng: np.random.Generator) -> None:
    p = one_neuron(rng, n, d, d_r)
    certificate = certify_realization(p.Z, p.G, p.W1, p.W2, 7.0 * p.R)
    assert certificate.status is Status.CERTIFIED, str(certificate)
    assert certificate.lower <= p.value * (1 + 1e-12)
    assert certificate.upper == pytest.approx(p.value, rel=1e-12)
    assert certificate.relative_gap < 1e-9
    assert certificate.violation < 1e-14


@pytest.mark.parametrize(("d", "k"), [(2, 3), (3, 5), (4, 6)])
def test_network_of_many_neurons_is_certified(d: int, k: int, rng: np.random.Generator) -> None:
    p = many_neurons(rng, d, k)
    certificate = certify_realization(p.Z, p.G, p.W1, p.W2, p.R)
    assert certificate.status is Status.CERTIFIED, str(certificate)
    assert certificate.upper == pytest.approx(p.value, rel=1e-12)


def test_rank_is_what_limits_exact_pricing_not_dimension(rng: np.random.Generator) -> None:
    p = one_neuron(rng, 12, 3, 2)
    Q = np.linalg.qr(rng.standard_normal((20, 3)))[0]
    certificate = certify_realization(p.Z @ Q.T, p.G, Q @ p.W1, p.W2, p.R)
    assert certificate.status is Status.CERTIFIED, str(certificate)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_price_bound_covers_sampled_directions_and_is_tight_on_degenerate_noise(seed: int) -> None:
    rng = np.random.default_rng(seed)
    Z = rng.integers(-1, 2, size=(rng.integers(1, 9), rng.integers(1, 5))).astype(float)
    R = rng.standard_normal((len(Z), rng.integers(1, 4)))
    bound = price_bound(Z, R)
    assert all(check.holds for check in bound.checks)
    assert sampled_price(Z, R, rng, 3000) <= bound.upper
    assert bound.attained <= bound.upper <= bound.attained * (1 + 1e-8) + 1e-12
    assert np.linalg.norm(np.maximum(Z @ bound.u, 0.0) @ R) == pytest.approx(bound.attained, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_price_bound_stays_tight_when_cells_are_nearly_half_spaces(seed: int) -> None:
    rng = np.random.default_rng(seed)
    d = int(rng.integers(2, 5))
    Z = rng.standard_normal((int(rng.integers(d, 12)), d)) * rng.choice([1.0, 1e-3], size=d)
    R = rng.standard_normal((len(Z), 2))
    bound = price_bound(Z, R)
    assert all(check.holds for check in bound.checks)
    assert sampled_price(Z, R, rng, 2000) <= bound.upper <= bound.attained * (1 + 1e-8)


def test_cones_that_replace_a_wide_cell_cover_it_and_are_sharp(rng: np.random.Generator) -> None:
    rays = np.array([[1.0, 1e-4, 1e-4], [-1.0, 1e-4, 0.0], [0.0, 1.0, 1.0], [0.3, 0.1, 1.0]])
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    assert pointedness(rays, np.array([[0, 1, 2, 3]]))[0] < SHARP
    more, cells = sharpened(rays, [np.array([[0, 1, 2, 3]])])
    assert all(pointedness(more, group).min() > 0.3 for group in cells)
    points = rng.uniform(size=(300, 4)) @ rays
    inverses = np.linalg.inv(np.swapaxes(more[np.concatenate(cells)], 1, 2))
    coordinates = np.einsum("kij,nj->nki", inverses, points)
    assert (coordinates.min(axis=2).max(axis=1) >= -1e-9).all()


def test_unbalanced_layers_cost_more_in_weights_and_the_same_in_path(rng: np.random.Generator) -> None:
    p = one_neuron(rng, 20, 2, 2)
    assert certify_realization(p.Z, p.G, 3 * p.W1, p.W2 / 3, p.R).status is Status.BRACKETED
    assert certify_realization(p.Z, p.G, 3 * p.W1, p.W2 / 3, p.R, norm="path").status is Status.CERTIFIED


def test_bounds_are_for_the_output_of_the_stored_network(rng: np.random.Generator) -> None:
    p = one_neuron(rng, 20, 3, 2)
    W2 = p.W2 * (1 + 1e-7)
    certificate = certify_realization(p.Z, p.G, p.W1, W2, p.R)
    assert certificate.violation == pytest.approx(1e-7, rel=1e-6)
    assert certificate.status is Status.CERTIFIED
    assert certify_realization(p.Z, p.G, p.W1, p.W2 * 1.001, p.R).status is Status.UNVERIFIED


def test_zero_target_costs_nothing() -> None:
    zero = np.zeros((3, 2))
    certificate = certify_realization(np.eye(3), zero, np.zeros((3, 1)), np.zeros((1, 2)), zero)
    assert certificate.status is Status.CERTIFIED
    assert certificate.lower == certificate.upper == 0.0


def test_no_network_leaves_the_lower_bound(rng: np.random.Generator) -> None:
    p = one_neuron(rng, 10, 2, 1)
    certificate = certify_realization(p.Z, p.G, None, None, p.R)
    assert certificate.status is Status.FAILED
    assert certificate.lower == pytest.approx(p.value, rel=1e-8)


# ------------------------------------------------------------------------------------------ high rank


def test_high_rank_is_bracketed_and_multipliers_tighten_it(rng: np.random.Generator) -> None:
    p = one_neuron(rng, 30, 7, 2)
    plain = certify_realization(p.Z, p.G, p.W1, p.W2, p.R)
    assert plain.status is Status.BRACKETED
    assert 0.0 < plain.lower < plain.upper
    size = float(np.linalg.norm(p.R, 2)) ** 2 / float(np.sum(p.R**2))
    multipliers = Multipliers(ab=-2.0 * size * np.eye(30))
    supplied = certify_realization(p.Z, p.G, p.W1, p.W2, p.R, multipliers=multipliers)
    assert plain.lower <= supplied.lower <= supplied.upper


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 10.0))
def test_any_multipliers_bound_the_price_from_above(seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    Z, R = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
    aa, ab, bb = size * rng.standard_normal((3, 6, 6)) ** 3
    bound = relaxation_bound(Z, R, Multipliers(ab, aa, bb))
    assert bound >= price_bound(Z, R).attained


def test_too_many_cells_are_not_enumerated(rng: np.random.Generator) -> None:
    p = one_neuron(rng, 20, 3, 2)
    certificate = certify_realization(p.Z, p.G, p.W1, p.W2, p.R, max_cells=10)
    assert certificate.status is Status.BRACKETED


# ------------------------------------------------------------------------------------------ unreachable targets


def test_unreachable_target_is_infeasible_by_its_witness(rng: np.random.Generator) -> None:
    Z, G = rng.standard_normal((10, 3)), rng.standard_normal((10, 2))
    Z[7], Z[9] = 2.0 * Z[1], -0.5 * Z[1]
    found = reachability(Z, G)
    certificate = certify_realization(Z, G, None, None, found.witness)
    assert certificate.status is Status.INFEASIBLE, str(certificate)
    assert certificate.infeasibility is not None
    assert certificate.infeasibility.margin == pytest.approx(found.residual, rel=1e-9)
    assert certify_realization(Z, found.nearest, None, None, found.witness).status is not Status.INFEASIBLE
    assert certify_realization(Z, G, None, None, -found.witness).status is not Status.INFEASIBLE


def test_multiplier_of_a_reachable_target_proves_nothing_infeasible(rng: np.random.Generator) -> None:
    for _ in range(20):
        p = one_neuron(rng, 30, 1 + int(rng.integers(3)), 1)
        assert certify_realization(p.Z, p.G, p.W1, p.W2, p.R).status is Status.CERTIFIED


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_annihilation_bound_covers_sampled_directions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    Z = rng.integers(-1, 2, size=(8, 2)) * rng.choice([0.5, 1.0, 3.0], size=(8, 1))
    for R in (rng.standard_normal((8, 2)), reachability(Z, rng.standard_normal((8, 2))).witness):
        assert sampled_price(Z, R, rng, 2000) <= annihilation_bound(Z, R)


# ------------------------------------------------------------------------------------------ tampering


def test_wrong_multiplier_is_never_certified(rng: np.random.Generator) -> None:
    p = one_neuron(rng, 30, 3, 2)
    for R in (rng.standard_normal(p.R.shape), -p.R, p.R + 0.3 * rng.standard_normal(p.R.shape), 0 * p.R, None):
        assert certify_realization(p.Z, p.G, p.W1, p.W2, R).status is Status.BRACKETED
    R = p.R.copy()
    R[3, 1] = np.nan
    assert certify_realization(p.Z, p.G, p.W1, p.W2, R).status is Status.UNVERIFIED


def test_wrong_weights_are_never_certified(rng: np.random.Generator) -> None:
    p = one_neuron(rng, 30, 3, 2)
    for W1, W2 in ((1.01 * p.W1, p.W2), (p.W1, -p.W2), (p.W1 + 0.01, p.W2), (np.nan * p.W1, p.W2)):
        assert certify_realization(p.Z, p.G, W1, W2, p.R).status is Status.UNVERIFIED


def claimed(p: Planted, arrangement: Arrangement) -> Status:
    return certify_realization(p.Z, p.G, p.W1, p.W2, p.R, arrangement=arrangement).status


@pytest.mark.parametrize(("n", "d"), [(8, 2), (9, 3), (8, 4)])
def test_one_dropped_cell_is_noticed_wherever_it_is(n: int, d: int, rng: np.random.Generator) -> None:
    p = one_neuron(rng, n, d, 2)
    whole = enumerate_cells(p.Z)
    assert claimed(p, whole) is Status.CERTIFIED
    for cell in rng.choice(whole.count, size=min(12, whole.count), replace=False):
        partial = whole.select(np.delete(np.arange(whole.count), cell))
        assert claimed(p, partial) is Status.UNVERIFIED
        assert claimed(p, replace(partial, scope="exhaustive")) is Status.UNVERIFIED


@pytest.mark.parametrize(("n", "d"), [(8, 2), (9, 3), (8, 4)])
def test_one_dropped_ray_of_a_cell_is_noticed(n: int, d: int, rng: np.random.Generator) -> None:
    p = one_neuron(rng, n, d, 2)
    whole = enumerate_cells(p.Z)
    rays = whole.cell_rays
    k = int(rng.integers(len(rays.indices)))
    short = Incidence(rays.indptr - (rays.indptr > k), np.delete(rays.indices, k))
    assert claimed(p, replace(whole, cell_rays=short)) is Status.UNVERIFIED


def test_ties_are_counted_right_and_a_dropped_ray_among_them_is_noticed(rng: np.random.Generator) -> None:
    Z = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [1, 1, 1, 0], [0, 0, 0, 1], [0, 1, 1, 1.0]])
    R = rng.standard_normal((7, 2))
    whole = enumerate_cells(Z)
    assert not whole.is_simple
    bound = price_bound(Z, R, arrangement=whole)
    assert len(bound.checks) == 2
    assert bound.upper <= bound.attained * (1 + 1e-8)
    rays = whole.cell_rays
    short = Incidence(rays.indptr - (rays.indptr > 40), np.delete(rays.indices, 40))
    checks = price_bound(Z, R, arrangement=replace(whole, cell_rays=short)).checks
    assert any(check.name == "no cell lacks a ray" and not check.holds for check in checks)


def test_arrangement_of_other_noise_is_noticed(rng: np.random.Generator) -> None:
    p = one_neuron(rng, 9, 3, 2)
    assert claimed(p, enumerate_cells(rng.standard_normal((9, 3)))) is Status.UNVERIFIED
    assert claimed(p, enumerate_cells(p.Z[:8])) is Status.UNVERIFIED


def test_wrong_shapes_are_refused_with_the_allowed_ones(rng: np.random.Generator) -> None:
    p = one_neuron(rng, 9, 3, 2)
    with pytest.raises(InputError, match=r"R = .* shape \(9, 2\)"):
        certify_realization(p.Z, p.G, p.W1, p.W2, p.R[:-1])
    with pytest.raises(InputError, match=r"W1 = .* shape"):
        certify_realization(p.Z, p.G, p.W1[:-1], p.W2, p.R)
    with pytest.raises(InputError, match="W1 and W2"):
        certify_realization(p.Z, p.G, p.W1, None, p.R)
    with pytest.raises(InputError, match=r"beta = .* must be > 0"):
        certify_soft(p.Z, p.G, p.W1.T, p.W2, p.R, 0.0)


# ------------------------------------------------------------------------------------------ soft form


@pytest.mark.parametrize(("n", "d"), [(20, 1), (30, 2), (20, 3), (10, 4)])
def test_soft_optimum_of_one_neuron_is_certified(n: int, d: int, rng: np.random.Generator) -> None:
    """G = (residual R with price β) + output: optimal since its own residual is dual feasible and tight."""
    p, beta = one_neuron(rng, n, d, 2), 0.3
    R = p.R * beta / price_bound(p.Z, p.R).attained
    certificate = certify_soft(p.Z, p.G + R, p.W1.T, p.W2, R, beta)
    assert certificate.status is Status.CERTIFIED, str(certificate)
    assert certificate.upper == pytest.approx(0.5 * np.sum(R**2) + beta * p.value, rel=1e-12)
    assert certify_soft(p.Z, p.G + R, p.W1.T, p.W2, None, beta).status is Status.CERTIFIED
    assert certify_soft(p.Z, p.G + R, p.W1.T, 1.2 * p.W2, R, beta).status is Status.BRACKETED
    assert certify_soft(p.Z, p.G + R, p.W1.T, np.inf * p.W2, R, beta).status is Status.UNVERIFIED


def test_soft_form_with_a_large_beta_needs_no_neuron(rng: np.random.Generator) -> None:
    Z, G = rng.standard_normal((15, 2)), rng.standard_normal((15, 3))
    beta = 1.01 * price_bound(Z, G).upper
    certificate = certify_soft(Z, G, np.zeros((0, 2)), np.zeros((0, 3)), None, beta)
    assert certificate.status is Status.CERTIFIED
    assert certificate.upper == pytest.approx(0.5 * np.sum(G**2))


# ------------------------------------------------------------------------------------------ brackets of games


@pytest.mark.parametrize("d", [2, 3, 6])
def test_phi_star_brackets_every_sampled_direction(d: int, rng: np.random.Generator) -> None:
    Z = rng.standard_normal((20, d))
    bound = phi_star(Z)
    assert sampled_price(Z, np.ones((20, 1)), rng) <= bound.upper
    assert bound.attained <= bound.upper
    if d <= 4:
        assert bound.upper <= bound.attained * (1 + 1e-9)
    with_a_dropped_cell = enumerate_cells(Z).select(np.arange(1, 5)) if d == 2 else None
    assert all(check.holds for check in phi_star(Z, arrangement=with_a_dropped_cell).checks) == (d != 2)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_factor_bracket_lies_below_the_cost_of_every_network(seed: int, d: int) -> None:
    """The lower bound is for all networks whose output has singular values ≥ d; so each costs at least that."""
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((8, d))
    u, v = rng.standard_normal((4, d)), rng.standard_normal((4, 3))
    singular = np.linalg.svd(np.maximum(Z @ u.T, 0.0) @ v, compute_uv=False)
    bracket = factor_bracket(Z, singular**2)
    assert bracket.lower <= np.linalg.norm(u, axis=1) @ np.linalg.norm(v, axis=1) * (1 + 1e-12)
    assert bracket.lower <= bracket.upper
    assert (bracket.upper < np.inf) == (d >= int((singular > 0).sum()))


def test_upper_end_of_the_factor_bracket_is_what_the_latent_factor_costs(rng: np.random.Generator) -> None:
    Z, excess = rng.standard_normal((12, 3)), np.array([5.0, 2.0])
    U, s, Vt = np.linalg.svd(Z, full_matrices=False)
    W = Vt[:2].T / s[:2] * np.sqrt(excess)
    G = U[:, :2] * np.sqrt(excess)
    u, v = np.concatenate([W.T, -W.T]), np.concatenate([np.eye(2), -np.eye(2)])
    np.testing.assert_allclose(np.maximum(Z @ u.T, 0.0) @ v, G, atol=1e-12)
    assert factor_bracket(Z, excess).upper == pytest.approx(np.linalg.norm(u, axis=1).sum(), rel=1e-12)


def test_negative_excess_is_refused() -> None:
    with pytest.raises(InputError, match="excess"):
        factor_bracket(np.eye(2), [-1.0])
