"""The conic programs against the closed forms of MATH 3.1, 3.2, 3.5, 3.6, and their duals against their values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan.errors import InputError
from convexwgan.solvers.conic import ConicResult, ConicStatus, covariance_program, mean_program, run
from convexwgan.spec.regularizer import Regularizer

BETA_G = 0.7
RELATIVE = 1e-6


def sample_moments(seed: int, n: int = 20, d: int = 5, scale: float = 1.0):
    rng = np.random.default_rng(seed)
    X = scale * (rng.normal(size=(n, d)) * np.linspace(1, 2, d) + 0.3)
    return X.sum(axis=0), X.T @ X


def descending(M):
    return np.linalg.eigvalsh(M)[::-1]


def nuclear(R):
    return np.abs(np.linalg.eigvalsh(R)).sum()


def solved(model, **limits) -> ConicResult:
    result = run(model, **limits)
    assert result.status is ConicStatus.OPTIMAL
    return result


# ------------------------------------------------------------------------------------ quadratic, MATH 3.2


@pytest.mark.parametrize("dualize", [False, True])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_covariance_program_is_singular_value_thresholding(dualize, scale):
    _, M = sample_moments(0, scale=scale)
    values, vectors = np.linalg.eigh(M)
    beta = (values[1] + values[2]) / 2
    result = solved(covariance_program(M, beta=beta, strength=BETA_G, dualize=dualize))
    S = (vectors * np.maximum(values - beta, 0)) @ vectors.T
    assert result.objective == pytest.approx(BETA_G / 2 * np.trace(S), rel=RELATIVE)
    np.testing.assert_allclose(result.values["S"], S, atol=1e-6 * values[-1])


@pytest.mark.parametrize("dualize", [False, True])
def test_covariance_multiplier_is_a_discriminator_that_attains_the_value(dualize):
    _, M = sample_moments(1)
    beta = float(np.median(descending(M))) * 1.01
    result = solved(covariance_program(M, beta=beta, strength=BETA_G, dualize=dualize))
    R = result.multipliers["R"]
    assert np.linalg.eigvalsh(R)[-1] <= BETA_G / 2 * (1 + 1e-8)
    assert np.sum(R * M) - beta * nuclear(R) == pytest.approx(result.objective, rel=RELATIVE)


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), share=st.floats(0.05, 1.3))
def test_covariance_program_equals_the_closed_form_for_any_beta(seed, share):
    _, M = sample_moments(seed, d=4)
    sigma = descending(M)
    beta = share * sigma[0]
    value = BETA_G / 2 * np.maximum(sigma - beta, 0).sum()
    result = solved(covariance_program(M, beta=beta, strength=BETA_G))
    assert result.objective == pytest.approx(value, rel=RELATIVE, abs=1e-7 * sigma[0])


# ------------------------------------------------------------------------------- norm bound, MATH 3.6


@pytest.mark.parametrize("dualize", [False, True])
@pytest.mark.parametrize("strength", [0.3, 0.7, 1.5, 3.0])
def test_norm_bound_keeps_as_many_components_as_two_over_beta_g(dualize, strength):
    _, M = sample_moments(2)
    sigma = np.append(descending(M), 0.0)
    t = sigma[min(int(2 / strength), 5)]
    value = t + strength / 2 * np.maximum(sigma - t, 0).sum()
    result = solved(covariance_program(M, beta=None, strength=strength, dualize=dualize))
    R = result.multipliers["R"]
    assert result.objective == pytest.approx(value, rel=RELATIVE)
    assert result.values["t"] == pytest.approx(t, rel=1e-5, abs=1e-6 * sigma[0])
    assert nuclear(R) <= 1 + 1e-8
    assert np.sum(R * M) == pytest.approx(value, rel=RELATIVE)


def test_covariance_program_uses_two_blocks_of_side_d_and_never_2d():
    _, M = sample_moments(3)
    data, _, _ = covariance_program(M, beta=1.0, strength=1.0).problem.get_problem_data(solver="SCS")
    assert list(data["dims"].psd) == [5, 5, 5]


# ------------------------------------------------------------------------------- skip, MATH 3.5


@pytest.mark.parametrize("dualize", [False, True])
def test_skip_program_equals_the_shifted_threshold_and_matches_the_mean(dualize):
    m, M = sample_moments(4)
    rho = 17.0
    C = M - np.outer(m, m) / rho
    gamma = descending(C)
    beta = max(-1.5 * gamma[-1], (gamma[1] + gamma[2]) / 2)
    value = BETA_G / 2 * (m @ m / rho + np.maximum(gamma - beta, 0).sum())
    result = solved(covariance_program(M, beta=beta, strength=BETA_G, skip=(m, rho), dualize=dualize))
    R = result.multipliers["R"]
    bound = np.sum(R * C) - beta * nuclear(R) + BETA_G / 2 * (m @ m) / rho
    assert result.objective == pytest.approx(value, rel=RELATIVE)
    assert bound == pytest.approx(value, rel=RELATIVE)
    np.testing.assert_allclose(result.values["S"], np.outer(m, m) / rho + result.values["T"], atol=1e-9)


def test_skip_norm_bound_equals_its_closed_form():
    m, M = sample_moments(5)
    rho, strength = 9.0, 0.8
    gamma = np.append(descending(M - np.outer(m, m) / rho), 0.0)
    t = max(gamma[int(2 / strength)], -gamma.min(), 0.0)
    value = t + strength / 2 * (m @ m / rho + np.maximum(gamma - t, 0).sum())
    result = solved(covariance_program(M, beta=None, strength=strength, skip=(m, rho)))
    assert result.objective == pytest.approx(value, rel=RELATIVE)


def test_skip_below_the_negative_eigenvalue_is_infeasible_with_a_ray():
    m, M = sample_moments(6)
    rho = 3.0
    C = M - np.outer(m, m) / rho
    beta = -0.5 * descending(C)[-1]
    result = run(covariance_program(M, beta=beta, strength=BETA_G, skip=(m, rho)))
    ray = result.multipliers["R"]
    assert result.status is ConicStatus.INFEASIBLE
    assert not result.values
    assert math.isnan(result.objective)
    assert np.sum(ray * C) - beta * nuclear(ray) > 0
    assert np.linalg.eigvalsh(ray)[-1] <= 1e-8 * nuclear(ray)


def test_skip_without_mass_needs_zero_mean():
    m, M = sample_moments(7)
    with pytest.raises(InputError, match="constant column"):
        covariance_program(M, beta=1.0, strength=1.0, skip=(m, 0.0))
    centred = solved(covariance_program(M, beta=1.0, strength=1.0, skip=(0 * m, 0.0)))
    assert centred.objective == pytest.approx(np.maximum(descending(M) - 1.0, 0).sum() / 2, rel=RELATIVE)


# ------------------------------------------------------------------------------- linear, MATH 3.1


def latent(seed: int = 10, n: int = 8, p: int = 4):
    Z = np.random.default_rng(seed).normal(size=(n, p))
    return Z, Z.sum(axis=0), np.linalg.qr(Z)[1]


def quadratic_case(name: str):
    Z, z_bar, root = latent()
    n, A = len(Z), Z.T @ Z
    if name == "free":
        return np.ones(n), {}, Regularizer.output(BETA_G), float(n)
    if name == "output":
        return z_bar, {"root": root}, Regularizer.output(BETA_G), z_bar @ np.linalg.solve(A, z_bar)
    return z_bar, {}, Regularizer.weights(BETA_G), z_bar @ z_bar


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("name", ["free", "output", "weights"])
def test_mean_program_shrinks_the_mean(name, scale):
    m, _ = sample_moments(8, scale=scale)
    z_bar, extra, regularizer, rho = quadratic_case(name)
    beta = np.linalg.norm(m) / 3
    result = solved(mean_program(m, z_bar, beta=beta, regularizer=regularizer, mass=8.0, weight=1.0, **extra))
    s, y = m * (2 / 3), result.multipliers["y"]
    assert result.objective == pytest.approx(BETA_G / 2 * (s @ s) / rho, rel=RELATIVE)
    np.testing.assert_allclose(result.values["G" if name == "free" else "W"].T @ z_bar, s, atol=1e-6 * np.abs(m).max())
    assert y @ m - beta * np.linalg.norm(y) - rho * (y @ y) / (2 * BETA_G) == pytest.approx(
        result.objective, rel=RELATIVE
    )


@pytest.mark.parametrize("strength", [0.05, 5.0])
@pytest.mark.parametrize("name", ["free", "output", "weights"])
def test_mean_norm_bound_moves_no_further_than_rho_over_beta_g(name, strength):
    m, _ = sample_moments(9)
    z_bar, extra, _, rho = quadratic_case(name)
    regularizer = Regularizer.weights(strength) if name == "weights" else Regularizer.output(strength)
    result = solved(mean_program(m, z_bar, beta=None, regularizer=regularizer, mass=8.0, weight=1.0, **extra))
    length = min(np.linalg.norm(m), rho / strength)
    value = strength / 2 * length**2 / rho + np.linalg.norm(m) - length
    y = result.multipliers["y"]
    assert result.objective == pytest.approx(value, rel=RELATIVE)
    assert np.linalg.norm(y) <= 1 + 1e-7
    assert y @ m - rho * (y @ y) / (2 * strength) == pytest.approx(value, rel=RELATIVE)


def test_means_weigh_the_free_output_by_one_over_n_fake():
    m, _ = sample_moments(11)
    m, n = m / 20, 7
    result = solved(
        mean_program(m, np.full(n, 1 / n), beta=0.1, regularizer=Regularizer.output(BETA_G), mass=1.0, weight=1 / n)
    )
    assert result.objective == pytest.approx(BETA_G / 2 * (np.linalg.norm(m) - 0.1) ** 2, rel=RELATIVE)


@pytest.mark.parametrize("of", ["output", "weights", "free"])
@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 2.3456, 3.0, math.pi, math.inf])
def test_norm_multipliers_are_dual_feasible_and_attain_the_value(p, of):
    m, _ = sample_moments(12)
    Z, z_bar, _ = latent()
    z_bar = np.ones(8) if of == "free" else z_bar
    beta = np.linalg.norm(m) / 3
    regularizer = Regularizer.norm(p, BETA_G, of="weights" if of == "weights" else "output")
    features = Z if of == "output" else None
    result = solved(mean_program(m, z_bar, beta=beta, regularizer=regularizer, features=features, mass=8.0, weight=1.0))
    y = result.multipliers["y"]
    H = result.multipliers["H"] if of == "output" else np.outer(z_bar, y)
    conjugate = math.inf if p == 1 else 1.0 if p == math.inf else p / (p - 1)
    assert np.linalg.norm(H.ravel(), conjugate) <= BETA_G * (1 + 1e-6)
    assert y @ m - beta * np.linalg.norm(y) == pytest.approx(result.objective, rel=RELATIVE)
    if of == "output":
        np.testing.assert_allclose(Z.T @ H, np.outer(z_bar, y), atol=1e-8 * np.abs(y).max())
        np.testing.assert_allclose(
            result.values["G"], Z @ result.values["W"], atol=1e-6 * np.abs(result.values["G"]).max()
        )


# ------------------------------------------------------------------------------- custom functions


def custom(f, of="weights", **extra):
    m, _ = sample_moments(13)
    Z, z_bar, _ = latent()
    features = Z if of == "output" else None
    return mean_program(
        m, z_bar, beta=1.0, regularizer=Regularizer.custom(f, of=of), features=features, mass=8.0, weight=1.0, **extra
    )


def test_custom_squared_norm_equals_weights_regularizer():
    import cvxpy as cp

    m, _ = sample_moments(13)
    _, z_bar, _ = latent()
    result = solved(custom(lambda W: cp.sum_squares(W) * (BETA_G / 2)))
    assert result.objective == pytest.approx(BETA_G / 2 * (np.linalg.norm(m) - 1) ** 2 / (z_bar @ z_bar), rel=RELATIVE)


def test_custom_function_of_the_output_gets_the_output_and_its_multiplier():
    import cvxpy as cp

    shapes = []

    def group_norm(G):
        shapes.append(G.shape)
        return cp.sum(cp.norm(G, 2, axis=1))

    result = solved(custom(group_norm, of="output"))
    Z, z_bar, _ = latent()
    assert shapes == [(8, 5)]
    H, y, m = result.multipliers["H"], result.multipliers["y"], sample_moments(13)[0]
    assert np.linalg.norm(H, axis=1).max() <= 1 + 1e-6
    np.testing.assert_allclose(Z.T @ H, np.outer(z_bar, y), atol=1e-8)
    assert y @ m - np.linalg.norm(y) == pytest.approx(result.objective, rel=RELATIVE)


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda W: -(W[0, 0] ** 2), "be convex"),
        (lambda W: W**2, "return a real scalar"),
        (lambda W: "no", "return a CVXPY expression"),
        (lambda W: np.linalg.norm(W), "map a CVXPY expression to one"),
        (lambda W: W @ W, "map a CVXPY expression to one"),
        (lambda W: W.no_such_attribute, "map a CVXPY expression to one"),
    ],
    ids=["concave", "matrix", "text", "numpy", "wrong shape", "attribute"],
)
def test_custom_function_that_is_not_scalar_convex_is_refused_with_a_remedy(f, words):
    with pytest.raises(InputError, match=words) as caught:
        custom(f)
    assert "cvxpy atoms" in str(caught.value)


def test_custom_function_with_integer_variables_is_refused():
    import cvxpy as cp

    with pytest.raises(InputError, match="continuous variables"):
        custom(lambda W: cp.norm1(cp.vec(W, order="F") - cp.Variable(integer=True)))


def test_custom_constant_function_is_a_feasibility_problem():
    assert solved(custom(lambda W: 0.0)).objective == 0.0


def test_warnings_of_cvxpy_go_to_the_log(caplog):
    import cvxpy as cp

    result = solved(custom(lambda W: cp.pnorm(cp.vec(W, order="F"), 2.3456)))
    assert result.objective > 0
    assert all(record.name == "convexwgan" for record in caplog.records)


def test_programs_name_their_variables():
    m, M = sample_moments(14)
    Z, z_bar, _ = latent()
    skip = covariance_program(M, beta=None, strength=1.0, skip=(m, 9.0), natural=True)
    norm = mean_program(
        m, z_bar, beta=1.0, regularizer=Regularizer.norm(1, of="output"), features=Z, mass=8.0, weight=1.0
    )
    assert set(skip.variables) == {"T", "t"}
    assert set(norm.variables) == {"W", "e", "G"}
    assert all(name == variable.name() for name, variable in norm.variables.items())


def test_natural_units_give_the_same_value_as_scaled_ones():
    m, M = sample_moments(15)
    for scaled, natural in [
        [covariance_program(M, beta=3.0, strength=0.5, natural=flag) for flag in (False, True)],
        [
            mean_program(
                m, np.ones(4), beta=1.0, regularizer=Regularizer.output(2.0), mass=4.0, weight=1.0, natural=flag
            )
            for flag in (False, True)
        ],
    ]:
        assert natural.value_unit == 1.0
        assert solved(natural).objective == pytest.approx(solved(scaled).objective, rel=RELATIVE)
