"""dist from both sides: never below sampled directions, attained by its neuron, never above a dual bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from convexwgan.errors import InputError
from convexwgan.geometry import linear_distance, polynomial_distance, quadratic_distance, s_lemma_bound

COEFFICIENTS = (0.09, 0.5, 0.47)


def distance_of_form(A, g, kappa):
    """dist for |uᵀAu + gᵀu + κ| given directly."""
    return polynomial_distance(A, 0 * A, g, 0 * g, kappa, (1.0, 1.0, 1.0))


def form(A, g, kappa, u):
    return np.einsum("...i,ij,...j", u, A, u) + u @ g + kappa


def dual_bound(A, g, kappa, distance):
    """The larger of the two S-lemma bounds at the multipliers of the evidence."""
    return max(
        s_lemma_bound(A, g, kappa, distance.evidence["multiplier_plus"]),
        s_lemma_bound(-A, -g, -kappa, distance.evidence["multiplier_minus"]),
    )


def assert_certified(A, g, kappa, rtol=1e-12):
    """The neuron attains the value and the S-lemma proves that none does better."""
    distance = distance_of_form(A, g, kappa)
    assert np.linalg.norm(distance.u) <= 1.0 + 1e-15
    assert abs(form(A, g, kappa, distance.u)) == pytest.approx(distance.value, rel=1e-12)
    bound = dual_bound(A, g, kappa, distance)
    assert distance.value * (1 - rtol) <= bound <= distance.value * (1 + rtol)
    assert distance.is_exact
    assert distance.scope == "exhaustive"
    return distance


def sampled_ball(rng, d, n=100_000):
    """Directions, and as many points inside the ball."""
    u = rng.normal(size=(n, d))
    u /= np.linalg.norm(u, axis=1)[:, None]
    return np.vstack([u, u * rng.uniform(size=(n, 1)) ** (1 / d)])


def symmetric(rng, d):
    A = rng.normal(size=(d, d))
    return A + A.T


# linear, quadratic


@pytest.mark.parametrize("d", [1, 2, 3])
def test_linear_distance_is_attained_and_beats_sampled_directions(rng, d):
    m, s = rng.normal(size=(2, d))
    distance = linear_distance(m, s)
    assert abs(distance.u @ (m - s)) == pytest.approx(distance.value, rel=1e-14)
    assert np.abs(sampled_ball(rng, d) @ (m - s)).max() <= distance.value * (1 + 1e-12)


def test_linear_distance_of_equal_moments_is_zero_with_a_unit_direction():
    distance = linear_distance(np.ones(3), np.ones(3))
    assert distance.value == 0.0
    assert np.linalg.norm(distance.u) == 1.0


@pytest.mark.parametrize("d", [1, 2, 3])
def test_quadratic_distance_is_attained_and_beats_sampled_directions(rng, d):
    M, S = symmetric(rng, d), symmetric(rng, d)
    distance = quadratic_distance(M, S)
    value = distance.u @ (M - S) @ distance.u
    assert value == pytest.approx(distance.evidence["eigenvalue"], rel=1e-13)
    assert abs(value) == pytest.approx(distance.value, rel=1e-13)
    assert distance.value == pytest.approx(np.linalg.norm(M - S, 2), rel=1e-13)
    u = sampled_ball(rng, d)
    assert np.abs(form(M - S, np.zeros(d), 0.0, u)).max() <= distance.value * (1 + 1e-12)


def test_quadratic_distance_of_equal_moments_is_zero_with_a_unit_direction():
    distance = quadratic_distance(np.eye(2), np.eye(2))
    assert distance.value == 0.0
    assert np.linalg.norm(distance.u) == 1.0


# polynomial


@pytest.mark.parametrize("d", [1, 2, 3])
def test_polynomial_distance_beats_sampled_directions_and_interior_points(rng, d):
    u = sampled_ball(rng, d)
    for kappa in (0.0, 0.7, -3.0):
        for shift in (0.0, 4.0, -4.0):
            A, g = symmetric(rng, d) + shift * np.eye(d), rng.normal(size=d)
            distance = assert_certified(A, g, kappa)
            best = np.abs(form(A, g, kappa, u)).max()
            assert best <= distance.value * (1 + 1e-12)
            if d <= 2:
                assert distance.value == pytest.approx(best, rel=1e-3)


def test_polynomial_distance_weighs_the_moments_by_the_coefficients(rng):
    M, S = symmetric(rng, 3), symmetric(rng, 3)
    m, s = rng.normal(size=(2, 3))
    a, b, c = COEFFICIENTS
    found = polynomial_distance(M, S, m, s, 2.0, COEFFICIENTS)
    assert found.value == pytest.approx(distance_of_form(a * (M - S), b * (m - s), 2 * c).value, rel=1e-13)


def test_polynomial_distance_of_samples_is_attained_by_a_neuron_on_the_samples(rng):
    X, G = rng.normal(size=(9, 3)), 2 * rng.normal(size=(7, 3))
    a, b, c = COEFFICIENTS
    found = polynomial_distance(X.T @ X, G.T @ G, X.sum(axis=0), G.sum(axis=0), 2.0, COEFFICIENTS)
    real, fake = X @ found.u, G @ found.u
    value = np.sum(a * real**2 + b * real + c) - np.sum(a * fake**2 + b * fake + c)
    assert abs(value) == pytest.approx(found.value, rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    a=st.floats(-5, 5, allow_subnormal=False),
    b=st.floats(-5, 5, allow_subnormal=False),
    kappa=st.floats(-5, 5, allow_subnormal=False),
)
def test_in_one_dimension_the_distance_is_at_an_end_or_at_the_vertex(a, b, kappa):
    points = [-1.0, 1.0] + ([-b / (2 * a)] if 2 * abs(a) > abs(b) else [])
    exact = max(abs(a * u * u + b * u + kappa) for u in points)
    distance = distance_of_form(np.array([[a]]), np.array([b]), kappa)
    assert distance.value == pytest.approx(exact, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("d", [2, 5, 40])
def test_the_value_equals_the_least_dual_bound_over_multipliers(rng, d):
    for _ in range(5):
        A, g, kappa = symmetric(rng, d), rng.normal(size=d), float(rng.normal())
        distance = assert_certified(A, g, kappa)
        bounds = []
        for sign in (1.0, -1.0):
            values = np.linalg.eigvalsh(sign * A)
            low, high = max(values[-1], 0.0) + 1e-12, values[-1] + np.linalg.norm(g) + 1.0
            args = (sign * A, sign * g, sign * kappa)
            found = minimize_scalar(
                lambda t, args=args: s_lemma_bound(*args, t),
                bounds=(low, high),
                method="bounded",
                options={"xatol": 1e-9},
            )
            bounds.append(found.fun)
        assert distance.value == pytest.approx(max(bounds), rel=1e-7)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_s_lemma_matrices_are_positive_semidefinite_at_the_value(rng, sign):
    for d in (1, 2, 6):
        A, g, kappa = symmetric(rng, d), rng.normal(size=d), float(rng.normal())
        distance = distance_of_form(A, g, kappa)
        multiplier = distance.evidence["multiplier_plus" if sign > 0 else "multiplier_minus"]
        corner = np.array([[distance.value - multiplier - sign * kappa]])
        off = -sign * g[:, None] / 2
        block = np.block([[multiplier * np.eye(d) - sign * A, off], [off.T, corner]])
        assert np.linalg.eigvalsh(block)[0] >= -1e-13 * distance.value


@pytest.mark.parametrize("g_last", [0.0, 1e-300, 1e-20, 1e-16, 1e-12, 1e-8])
@pytest.mark.parametrize("multiplicity", [1, 2])
def test_the_hard_case_and_its_neighbourhood_are_solved(rng, g_last, multiplicity):
    # g (nearly) orthogonal to the top eigenspace and short: the secular equation alone has no root above λ₁
    values = np.array([3.0] * multiplicity + [1.0, -0.5])
    d = len(values)
    rotation, _ = np.linalg.qr(rng.normal(size=(d, d)))
    for V in (np.eye(d), rotation):
        g = V @ np.array([g_last] + [0.0] * (multiplicity - 1) + [0.4, -0.2])
        A = (V * values) @ V.T
        distance = assert_certified(A, g, 0.5)
        # in the eigenbasis u₂ = g₂/(2(3 − 1)), u₃ = g₃/(2(3 + ½)), the rest along the top eigenspace
        exact = 3.0 + 0.5 + 0.25 * (0.4**2 / 2.0 + 0.2**2 / 3.5)
        assert distance.value == pytest.approx(exact, rel=1e-8 if g_last == 1e-8 else 1e-12)
        assert np.linalg.norm(distance.u) == pytest.approx(1.0, rel=1e-14)


def test_an_interior_maximiser_is_found_with_multiplier_zero():
    # −2u₁² − 3u₂² + u₁ + κ: maximum 1/8 + κ at u = (1/4, 0)
    distance = assert_certified(np.diag([-2.0, -3.0]), np.array([1.0, 0.0]), 10.0)
    np.testing.assert_allclose(distance.u, [0.25, 0.0], atol=1e-15)
    assert distance.value == pytest.approx(10.125, rel=1e-15)
    assert distance.evidence["multiplier_plus"] == 0.0


@pytest.mark.parametrize("d", [1, 3])
def test_a_constant_form_is_its_constant(d):
    for kappa in (2.0, -2.0, 0.0):
        assert assert_certified(np.zeros((d, d)), np.zeros(d), kappa).value == abs(kappa)


@pytest.mark.parametrize("d", [1, 3])
def test_without_the_quadratic_part_it_is_the_linear_distance(rng, d):
    g = rng.normal(size=d)
    distance = assert_certified(np.zeros((d, d)), g, 0.0)
    assert distance.value == pytest.approx(linear_distance(g, 0 * g).value, rel=1e-14)


@pytest.mark.parametrize("d", [1, 2, 7])
def test_without_the_linear_part_it_is_the_quadratic_distance(rng, d):
    A = symmetric(rng, d)
    distance = assert_certified(A, np.zeros(d), 0.0)
    assert distance.value == pytest.approx(quadratic_distance(A, 0 * A).value, rel=1e-13)


def test_a_singular_negative_semidefinite_form_is_solved_in_either_range():
    A = np.diag([0.0, -1.0])
    assert assert_certified(A, np.array([0.0, 1.0]), 5.0).value == pytest.approx(5.25)
    assert assert_certified(A, np.array([1.0, 0.0]), 5.0).value == pytest.approx(6.0)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    d=st.integers(1, 12),
    log_a=st.integers(-12, 12),
    log_g=st.integers(-12, 12),
    is_clustered=st.booleans(),
)
def test_no_scaling_or_clustering_opens_a_gap_to_the_dual_bound(seed, d, log_a, log_g, is_clustered):
    rng = np.random.default_rng(seed)
    V, _ = np.linalg.qr(rng.normal(size=(d, d)))
    values = 1.0 + 10.0 ** rng.uniform(-17, -8, size=d) if is_clustered else rng.normal(size=d)
    g = rng.normal(size=d) * (10.0 ** rng.uniform(-17, 0, size=d) if is_clustered else 1.0)
    assert_certified(10.0**log_a * (V * values) @ V.T, 10.0**log_g * (V @ g), float(rng.normal()))


def test_the_bound_at_any_admissible_multiplier_is_valid(rng):
    A, g = symmetric(rng, 3), rng.normal(size=3)
    highest = form(A, g, 0.3, sampled_ball(rng, 3)).max()
    top = max(np.linalg.eigvalsh(A)[-1], 0.0)
    for extra in (1e-9, 1e-3, 0.1, 1.0, 10.0):
        assert s_lemma_bound(A, g, 0.3, top + extra) >= highest


def test_the_bound_is_infinite_outside_its_conditions():
    A = np.diag([2.0, 1.0])
    assert s_lemma_bound(A, np.zeros(2), 0.0, 1.5) == np.inf
    assert s_lemma_bound(A, np.array([1e-3, 0.0]), 0.0, 2.0) == np.inf
    assert s_lemma_bound(-A, np.zeros(2), 0.0, -0.5) == np.inf
    assert s_lemma_bound(A, np.array([0.0, 1.0]), 0.0, 2.0) == pytest.approx(2.25)


# refusals


@pytest.mark.parametrize("bad", [np.ones(3), np.ones((2, 2)), np.array([np.nan, 1.0])])
def test_first_moments_that_do_not_fit_are_refused(bad):
    with pytest.raises(InputError, match="first moments m, s"):
        linear_distance(np.ones(2), bad)


@pytest.mark.parametrize("bad", [np.ones(2), np.ones((3, 3)), np.full((2, 2), np.inf)])
def test_second_moments_that_do_not_fit_are_refused(bad):
    with pytest.raises(InputError, match="second moments M, S"):
        quadratic_distance(np.eye(2), bad)


def test_moments_of_different_dimensions_are_refused():
    with pytest.raises(InputError, match="square"):
        quadratic_distance(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(InputError, match="must fit and be finite"):
        polynomial_distance(np.eye(2), np.eye(2), np.ones(3), np.ones(3), 0.0, COEFFICIENTS)
    with pytest.raises(InputError, match="must fit and be finite"):
        polynomial_distance(np.eye(2), np.eye(2), np.ones(2), np.ones(2), np.inf, COEFFICIENTS)
