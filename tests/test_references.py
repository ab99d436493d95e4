"""Every formula against an independent witness: closed form = conic program = brute force, on each array library.

The conic references are written here from MATH, in plain CVXPY, and share no code with the package.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
import scipy.linalg
import scipy.optimize

from convexwgan import Discriminator, Generator, Latent, Problem, Regularizer, Solution, Status, verify
from convexwgan.arrays import to_numpy64
from convexwgan.errors import ConvexWGANError, InputError, NotConicError
from convexwgan.load import load_problem
from convexwgan.spec.instance import instance_names
from convexwgan.theory.laws import check_reduction_inverts, check_weak_duality, find_step
from convexwgan.theory.reduction import Reduction
from convexwgan.theory.theorems import THEOREMS

Array = np.ndarray[Any, np.dtype[Any]]


# ---- random instances --------------------------------------------------------------------------------------------


def real_data(seed: int, n: int = 30, d: int = 4) -> Array:
    """Unequal variances, correlated, off centre."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0]
    return rng.standard_normal((n, d)) @ np.diag(np.geomspace(2.0, 0.4, d)) @ rotation + rng.uniform(0.3, 0.8, d)


def noise(seed: int, n: int = 23, p: int = 6) -> Array:
    rng = np.random.default_rng(1000 + seed)
    return rng.standard_normal((n, p)) @ np.diag(np.geomspace(2.0, 0.4, p)) + np.linspace(0.2, 1.5, p)


def moments(X: Array, normalize: str) -> tuple[Array, Array]:
    w = 1.0 if normalize == "sum" else 1.0 / len(X)
    return w * X.T @ X, w * X.sum(axis=0)


def lifted(Z: Array, a: float, b: float, c: float) -> Array:
    pairs = list(itertools.combinations_with_replacement(range(Z.shape[1]), 2))
    squares = [Z[:, i] * Z[:, j] * (1.0 if i == j else math.sqrt(2.0)) for i, j in pairs]
    return np.column_stack([a * np.array(squares).T, b * Z, np.full(len(Z), c)])


class Side:
    """The generator as the references see it: A, z̄, N_f, ρ, rank."""

    def __init__(self, kind: str, seed: int, normalize: str, d: int) -> None:
        self.Z: Any = None
        self.n_fake: int | None = None
        self.generator = Generator.linear()
        if kind == "free":
            self.generator, self.n_fake = Generator.free(), 17
            features, n = np.eye(17), 17
        elif kind == "population":
            self.Z, n = Latent.normal(d + 2), 1
            self.A, self.z_bar, self.mass, self.rank, self.rho = np.eye(d + 2), np.zeros(d + 2), 1.0, d + 2, 0.0
            return
        else:
            self.Z = noise(seed)
            features, n = self.Z, len(self.Z)
            if kind == "polynomial":
                self.Z = self.Z[:, :2]
                self.generator = Generator.polynomial(0.5, 1.0, 0.7)
                features = lifted(self.Z, 0.5, 1.0, 0.7)
        w = 1.0 if normalize == "sum" else 1.0 / n
        self.A, self.z_bar, self.mass = w * features.T @ features, w * features.sum(axis=0), w * n
        self.rho = float(self.z_bar @ np.linalg.pinv(self.A) @ self.z_bar)
        self.rank = int(np.linalg.matrix_rank(features))


def pose(discriminator: Discriminator, side: Side, regularizer: Regularizer, X: Array, normalize: Any) -> Problem:
    return Problem(discriminator + side.generator + regularizer, X, side.Z, n_fake=side.n_fake, normalize=normalize)


# ---- conic references --------------------------------------------------------------------------------------------


def reference(
    discriminator: Discriminator, side: Side, strength: float, X: Array, normalize: str, of: str = "output"
) -> float:
    """min R_g (s.t. dist ≤ β, or + dist) over the moments of the output, by Clarabel."""
    M, m = moments(X, normalize)
    d = len(m)
    beta: Any = discriminator.beta if discriminator.beta is not None else cp.Variable(nonneg=True)
    cost: Any = 0.0 if discriminator.beta is not None else beta
    if discriminator.kind == "linear":
        root = np.real(scipy.linalg.sqrtm(side.A))
        W = cp.Variable((len(side.z_bar), d))
        cost = cost + 0.5 * strength * cp.sum_squares(root @ W if of == "output" else W)
        constraints: list[Any] = [cp.norm(m - W.T @ side.z_bar, 2) <= beta]
    else:
        S, s = cp.Variable((d, d), symmetric=True), cp.Variable((d, 1))
        cost = cost + 0.5 * strength * cp.trace(S)
        constraints = [S >> 0]
        if side.rho > 1e-12:
            constraints = [cp.bmat([[S, s], [s.T, np.full((1, 1), side.rho)]]) >> 0]
        else:
            constraints += [s == 0]
        a, b, c = discriminator.activation
        if discriminator.skip:
            constraints += [s[:, 0] == m]
        if discriminator.kind == "quadratic":
            constraints += [M - S << beta * np.eye(d), S - M << beta * np.eye(d)]
        else:
            gap = (len(X) if normalize == "sum" else 1.0) - side.mass
            for sign in (1.0, -1.0):
                lam = cp.Variable(nonneg=True)
                g = -0.5 * sign * b * (m[:, None] - s)
                corner = cp.reshape(beta - lam - sign * c * gap, (1, 1), order="F")
                constraints += [cp.bmat([[lam * np.eye(d) - sign * a * (M - S), g], [g.T, corner]]) >> 0]
    problem = cp.Problem(cp.Minimize(cost), constraints)
    tol = 1e-8 if discriminator.kind == "linear" else 1e-9
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=tol, tol_gap_rel=tol, tol_feas=tol)
    assert problem.status == "optimal"
    return float(problem.value)


def beta_inside(discriminator: str, X: Array, normalize: str, rho: float = math.inf) -> float:
    """A feasible β_d that keeps some but not all of the data's structure."""
    M, m = moments(X, normalize)
    if discriminator == "linear":
        return 0.4 * float(np.linalg.norm(m))
    lowest = float(np.linalg.eigvalsh(M - np.outer(m, m) / rho)[0]) if discriminator == "skip" else 0.0
    return max(float(np.mean(np.linalg.eigvalsh(M)[-3:-1])), -1.2 * lowest)


GENERATORS = ("free", "linear", "polynomial", "population")
CASES = list(itertools.product((0, 1), ("sum", "mean"), GENERATORS))


@pytest.mark.parametrize(("seed", "normalize", "kind"), CASES)
@pytest.mark.parametrize("name", ["linear", "quadratic", "skip", "polynomial"])
def test_weight_decay_optimum_equals_the_conic_optimum(name: str, seed: int, normalize: str, kind: str) -> None:
    if kind == "population" and (normalize == "sum" or name in ("linear", "skip")):
        pytest.skip("population noise has no sums, and cannot move a mean (tested as infeasible)")
    X = real_data(seed)
    side = Side(kind, seed, normalize, 4)
    beta = beta_inside(name, X, normalize, side.rho)
    discriminator = {
        "linear": Discriminator.linear(beta=beta),
        "quadratic": Discriminator.quadratic(beta=beta),
        "skip": Discriminator.quadratic(beta=beta, skip=True),
        "polynomial": Discriminator.polynomial(1.0, 0.4, 0.1, beta=beta),
    }[name]
    solution = pose(discriminator, side, Regularizer.output(0.7), X, normalize).solve()
    assert_certified(solution, conic=name == "polynomial")
    assert solution.value == pytest.approx(reference(discriminator, side, 0.7, X, normalize), rel=1e-6)


@pytest.mark.parametrize(("seed", "normalize", "kind"), CASES)
@pytest.mark.parametrize("name", ["linear", "quadratic", "skip", "polynomial"])
def test_norm_bound_optimum_equals_the_conic_optimum(name: str, seed: int, normalize: str, kind: str) -> None:
    if kind == "population" and (normalize == "sum" or name == "skip"):
        pytest.skip("population noise has no sums, and cannot move a mean (tested as infeasible)")
    X = real_data(seed)
    side = Side(kind, seed, normalize, 4)
    discriminator = {
        "linear": Discriminator.linear(norm_bound=True),
        "quadratic": Discriminator.quadratic(norm_bound=True),
        "skip": Discriminator.quadratic(norm_bound=True, skip=True),
        "polynomial": Discriminator.polynomial(1.0, 0.4, 0.1, norm_bound=True),
    }[name]
    for strength in (0.6, 1.3, 7.0):
        solution = pose(discriminator, side, Regularizer.output(strength), X, normalize).solve()
        assert_certified(solution, conic=name == "polynomial")
        assert solution.value == pytest.approx(reference(discriminator, side, strength, X, normalize), rel=1e-6)


@pytest.mark.parametrize("norm_bound", [False, True])
@pytest.mark.parametrize("kind", ["linear", "polynomial"])
@pytest.mark.parametrize("normalize", ["sum", "mean"])
def test_linear_discriminator_with_weights_equals_the_conic_optimum(
    normalize: str, kind: str, norm_bound: bool
) -> None:
    X, side = real_data(2), Side(kind, 2, normalize, 4)
    rule: dict[str, Any] = {"norm_bound": True} if norm_bound else {"beta": beta_inside("linear", X, normalize)}
    discriminator = Discriminator.linear(**rule)
    solution = pose(discriminator, side, Regularizer.weights(0.7), X, normalize).solve()
    assert_certified(solution)
    expected = reference(discriminator, side, 0.7, X, normalize, of="weights")
    assert solution.value == pytest.approx(expected, rel=1e-6)


def assert_certified(solution: Solution, conic: bool = False) -> None:
    assert solution.status is Status.CERTIFIED, str(solution.certificate)
    assert solution.bound <= solution.value * (1 + 1e-12)
    assert solution.relative_gap <= (1e-6 if conic else 1e-8)
    assert solution.certificate.violation <= 1e-8


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, math.inf])
@pytest.mark.parametrize("of", ["output", "weights"])
@pytest.mark.parametrize("norm_bound", [False, True])
def test_norm_costs_equal_a_plain_cvxpy_program(p: float, of: Any, norm_bound: bool) -> None:
    X, Z = real_data(3, d=3), noise(3, n=9, p=3)
    m, z_bar = X.sum(axis=0), Z.sum(axis=0)
    rule: dict[str, Any] = {"norm_bound": True} if norm_bound else {"beta": 0.4 * float(np.linalg.norm(m))}
    pair = Discriminator.linear(**rule) + Generator.linear() + Regularizer.norm(p, 0.8, of=of)
    solution = Problem(pair, X, Z).solve()
    W = cp.Variable((3, 3))
    dist = cp.norm(m - W.T @ z_bar, 2)
    entries = cp.vec(Z @ W if of == "output" else W, order="F")
    cost = 0.8 * cp.norm(entries, p) + (dist if norm_bound else 0.0)
    program = cp.Problem(cp.Minimize(cost), [] if norm_bound else [dist <= rule["beta"]])
    program.solve(solver=cp.CLARABEL, tol_gap_rel=1e-9, tol_gap_abs=1e-9, tol_feas=1e-9)
    assert solution.status is Status.CERTIFIED, str(solution.certificate)
    assert solution.value == pytest.approx(float(program.value), rel=1e-6)


# ---- custom regularisers -----------------------------------------------------------------------------------------


def test_custom_copy_of_the_squared_norm_reaches_the_closed_form() -> None:
    X, Z = real_data(4), noise(4)
    beta = beta_inside("linear", X, "sum")
    pair = Discriminator.linear(beta=beta) + Generator.linear()
    custom = Regularizer.custom(
        lambda W: 0.5 * cp.sum_squares(W),
        of="weights",
        value=lambda W: 0.5 * float(np.sum(W**2)),
        conjugate=lambda H: 0.5 * float(np.sum(H**2)),
    )
    solution = Problem(pair + custom, X, Z).solve()
    closed = Problem(pair + Regularizer.weights(1.0), X, Z).solve()
    assert solution.status is Status.CERTIFIED, str(solution.certificate)
    assert solution.value == pytest.approx(closed.value, rel=1e-6)
    assert solution.bound <= closed.value * (1 + 1e-9)


def test_custom_without_conjugate_is_unverified() -> None:
    X, Z = real_data(4), noise(4)
    custom = Regularizer.custom(lambda W: cp.sum_squares(W), of="weights", value=lambda W: float(np.sum(W**2)))
    solution = Problem(Discriminator.linear(beta=1.0) + Generator.linear() + custom, X, Z).solve()
    assert solution.status is Status.UNVERIFIED
    assert solution.generator is not None


# ---- quadratic × weights: a duality gap --------------------------------------------------------------------------


def local_search(M: Array, A: Array, beta: float, strength: float, seed: int) -> float:
    """min (β_g/2)‖W‖_F² s.t. ‖M − WᵀAW‖₂ ≤ β for 2 × 2 matrices, by Nelder–Mead from many starts.

    Every feasible S is (M − R(θ)diag(β sin a, β sin b)R(θ)ᵀ)₊, and every W with WᵀAW = S has
    ‖W‖² = tr(A⁻¹YYᵀ), Y = R(φ)S^½: four angles; what the (·)₊ makes infeasible is infinite.
    """
    rng, inverse = np.random.default_rng(seed), np.linalg.inv(A)

    def rotation(angle: float) -> Array:
        return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])

    def cost(angles: Array) -> float:
        R = rotation(angles[0])
        S = M - beta * (R * np.sin(angles[1:3])) @ R.T
        values, V = np.linalg.eigh(S)
        root = (V * np.sqrt(np.maximum(values, 0.0))).T
        if np.linalg.norm(M - root.T @ root, 2) > beta * (1 + 1e-12):
            return math.inf
        Y = rotation(angles[3]) @ root
        return 0.5 * strength * float(np.trace(Y.T @ inverse @ Y))

    options = {"xatol": 1e-12, "fatol": 1e-15, "maxiter": 4000, "maxfev": 8000}
    found = [scipy.optimize.minimize(cost, start, method="Nelder-Mead") for start in rng.uniform(-3, 3, (25, 4))]
    best = sorted(found, key=lambda result: result.fun)[:3]
    for _ in range(3):
        best = [scipy.optimize.minimize(cost, result.x, method="Nelder-Mead", options=options) for result in best]
    return min(float(result.fun) for result in best)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("share", [0.5, 1.6])
def test_quadratic_weights_is_not_beaten_by_local_search(seed: int, share: float) -> None:
    """β_d below the smaller eigenvalue (both components stay) and above it (one stays)."""
    rng = np.random.default_rng(seed)
    X, Z = rng.standard_normal((9, 2)) @ np.diag([2.0, 1.0]), rng.standard_normal((7, 2)) @ np.diag([2.0, 0.7])
    M, A = X.T @ X, Z.T @ Z
    beta = share * float(np.linalg.eigvalsh(M)[0])
    solution = Problem(Discriminator.quadratic(beta=beta) + Generator.linear() + Regularizer.weights(1.0), X, Z).solve()
    assert_certified(solution)
    assert solution.value == pytest.approx(local_search(M, A, beta, 1.0, seed), rel=1e-6)


def test_quadratic_weights_norm_bound_is_not_beaten_by_a_scan_over_thresholds() -> None:
    """min_t t + (β_g/2)Σ(σ_i² − t)₊/λ_i, scanned; and random generators stay above."""
    rng = np.random.default_rng(5)
    X, Z = rng.standard_normal((12, 3)) @ np.diag([3.0, 2.0, 1.0]), rng.standard_normal((9, 3))
    M, A = X.T @ X, Z.T @ Z
    sigma, lam = np.linalg.eigvalsh(M)[::-1], np.linalg.eigvalsh(A)[::-1]
    for strength in (0.5, 4.0, 9.0, 40.0):
        pair = Discriminator.quadratic(norm_bound=True) + Generator.linear() + Regularizer.weights(strength)
        solution = Problem(pair, X, Z).solve()
        assert_certified(solution)
        grid = np.concatenate([[0.0], sigma, np.linspace(0.0, sigma[0], 2001)])
        values = grid + 0.5 * strength * (np.maximum(sigma[:, None] - grid, 0.0) / lam[:, None]).sum(axis=0)
        assert solution.value == pytest.approx(float(values.min()), rel=1e-9)
        W0 = to_numpy64(solution.generator.weights) if solution.generator is not None else np.zeros((3, 3))
        for size in 10.0 ** rng.uniform(-4, 0, 50):
            W = W0 + size * rng.standard_normal(W0.shape)
            attained = 0.5 * strength * float(np.sum(W**2)) + float(np.linalg.norm(M - W.T @ A @ W, 2))
            assert attained >= solution.bound - 1e-12


def test_quadratic_weights_has_the_duality_gap_of_the_mathematics_page() -> None:
    """λ = (9, 4, 1): closed form 7.27 against 2.54 of its relaxation; no neurons and no sensitivity are claimed."""
    # Σ excess_i/λ_i = 2·7.27 and Σ excess_i/λ_1 = 2·2.54 with excess (x, y, 8): solve the two equations.
    total, weighted = 2 * 2.54 * 9.0, 2 * 7.27
    excess = np.array([0.0, 0.0, 8.0])
    excess[:2] = np.linalg.solve([[1.0, 1.0], [1 / 9, 1 / 4]], [total - 8.0, weighted - 8.0])
    assert (np.diff(excess) < 0).all()
    X = np.diag(np.sqrt(excess + 2.0))
    Z = np.diag([3.0, 2.0, 1.0])
    problem = Problem(Discriminator.quadratic(beta=2.0) + Generator.linear() + Regularizer.weights(1.0), X, Z)
    solution, relaxation = problem.solve(), problem.relaxation()
    assert_certified(solution)
    assert solution.value == pytest.approx(7.27, rel=1e-9)
    assert float(relaxation.solve(solver=cp.CLARABEL)) == pytest.approx(2.54, rel=1e-6)
    assert solution.discriminator is None
    with pytest.raises(InputError, match="sensitivity"):
        _ = solution.sensitivity
    with pytest.raises(NotConicError, match="duality gap"):
        problem.to_cvxpy()


def test_quadratic_weights_with_equal_noise_strengths_has_a_discriminator() -> None:
    """Λ = I: no gap; whether or not neurons are claimed, the value is the `output` one."""
    X, Z = real_data(6, d=3), np.eye(3)
    discriminator = Discriminator.quadratic(beta=beta_inside("quadratic", X, "sum"))
    weights = Problem(discriminator + Generator.linear() + Regularizer.weights(1.0), X, Z).solve()
    output = Problem(discriminator + Generator.linear() + Regularizer.output(1.0), X, Z).solve()
    assert weights.value == pytest.approx(output.value, rel=1e-12)


def test_gaussian_spectrum_attains_its_known_optimum() -> None:
    solution = load_problem("quadratic_linear_output").solve()
    assert_certified(solution)
    assert solution.value == pytest.approx(0.5 * ((9 - 2) + (4 - 2)), rel=1e-9)


# ---- polynomial discriminators by brute force --------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("normalize", ["sum", "mean"])
def test_polynomial_discriminator_is_not_beaten_by_local_search_over_samples(seed: int, normalize: Any) -> None:
    """Free generator in one dimension: dist ≤ β on a grid of the neuron's only parameter u, |u| ≤ 1."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((6, 1)) + 1.5
    a, b, c, n = 0.8, 1.0, 0.2, 5
    w_r, w_f = (1.0, 1.0) if normalize == "sum" else (1 / 6, 1 / n)
    gap = 6 - n if normalize == "sum" else 0
    u = np.linspace(-1.0, 1.0, 401)
    M, m = w_r * float(np.sum(X**2)), w_r * float(X.sum())
    beta = 0.5 * float(np.max(np.abs(a * M * u**2 + b * m * u + c * gap)))

    def slack(g: Array) -> Array:
        curve = a * (M - w_f * float(g @ g)) * u**2 + b * (m - w_f * float(g.sum())) * u + c * gap
        return np.concatenate([beta - curve, beta + curve])

    best = math.inf
    for _ in range(8):
        result = scipy.optimize.minimize(
            lambda g: 0.5 * w_f * float(g @ g),
            rng.standard_normal(n),
            jac=lambda g: w_f * g,
            constraints={"type": "ineq", "fun": slack},
            method="SLSQP",
            options={"maxiter": 500, "ftol": 1e-13},
        )
        if slack(result.x).min() >= -1e-8:
            best = min(best, float(result.fun))
    pair = Discriminator.polynomial(a, b, c, beta=beta) + Generator.free()
    solution = Problem(pair, X, n_fake=n, normalize=normalize).solve()
    assert solution.status is Status.CERTIFIED, str(solution.certificate)
    assert solution.value == pytest.approx(best, rel=1e-5)


@pytest.mark.parametrize("kind", ["linear", "quadratic"])
def test_polynomial_discriminator_specialises_to_linear_and_quadratic(kind: str) -> None:
    X, Z = real_data(7), noise(7)
    beta = beta_inside(kind, X, "sum")
    simple = Discriminator.linear(beta=beta) if kind == "linear" else Discriminator.quadratic(beta=beta)
    a, b = (0.0, 1.0) if kind == "linear" else (1.0, 0.0)
    expected = Problem(simple + Generator.linear(), X, Z).solve()
    found = Problem(Discriminator.polynomial(a, b, 0.0, beta=beta) + Generator.linear(), X, Z).solve()
    assert found.status is Status.CERTIFIED, str(found.certificate)
    assert found.value == pytest.approx(expected.value, rel=1e-6)


# ---- one code path for all array libraries -----------------------------------------------------------------------

PAIRS: dict[str, tuple[Any, Any]] = {
    "linear × free": (Discriminator.linear(beta=9.0) + Generator.free(), None),
    "linear × linear": (Discriminator.linear(beta=9.0) + Generator.linear(), noise(8)),
    "linear × linear, weights": (
        Discriminator.linear(beta=9.0) + Generator.linear() + Regularizer.weights(1.0),
        noise(8),
    ),
    "linear × linear, 1-norm": (Discriminator.linear(beta=9.0) + Generator.linear() + Regularizer.norm(1), noise(8)),
    "quadratic × free": (Discriminator.quadratic(beta=30.0) + Generator.free(), None),
    "quadratic × linear": (Discriminator.quadratic(beta=30.0) + Generator.linear(), noise(8)),
    "quadratic × linear, weights": (
        Discriminator.quadratic(beta=30.0) + Generator.linear() + Regularizer.weights(1.0),
        noise(8),
    ),
    "quadratic × polynomial": (Discriminator.quadratic(beta=30.0) + Generator.polynomial(1, 0.5, 1), noise(8)[:, :3]),
    "quadratic × linear, components": (Discriminator.quadratic(components=2) + Generator.linear(), noise(8)),
    "quadratic × linear, norm bound": (
        Discriminator.quadratic(norm_bound=True) + Generator.linear() + Regularizer.output(0.9),
        noise(8),
    ),
    "skip × free": (Discriminator.quadratic(beta=30.0, skip=True) + Generator.free(), None),
    "skip × linear": (Discriminator.quadratic(beta=30.0, skip=True) + Generator.linear(), noise(8)),
    "polynomial × linear": (Discriminator.polynomial(1, 0.5, 0.1, beta=30.0) + Generator.linear(), noise(8)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_every_array_library_gives_the_answer_of_numpy(name: str, array_library: ModuleType) -> None:
    pair, Z = PAIRS[name]
    X = real_data(8)
    expected = Problem(pair, X, Z).solve()
    moved = Problem(pair, array_library.asarray(X), None if Z is None else array_library.asarray(Z)).solve()
    assert moved.status is expected.status is Status.CERTIFIED
    assert moved.value == pytest.approx(expected.value, rel=1e-12)
    assert moved.generator is not None
    assert expected.generator is not None
    assert type(moved.generator.weights) is type(array_library.asarray(X))
    # A conic solver magnifies the rounding of its input, here by the libraries' orders of summation.
    atol = 1e-10 if expected.stats.method == "closed_form" else 1e-6
    for found, wanted in (
        (moved.generator.weights, expected.generator.weights),
        (moved.generator.output, expected.generator.output),
    ):
        size = float(np.abs(to_numpy64(wanted)).max())
        np.testing.assert_allclose(to_numpy64(found), to_numpy64(wanted), rtol=0, atol=atol * size)


@pytest.mark.parametrize("name", PAIRS)
def test_float32_is_certified_to_its_own_tolerance(name: str, array_library: ModuleType) -> None:
    pair, Z = PAIRS[name]
    X32 = array_library.asarray(real_data(8).astype(np.float32))
    Z32 = None if Z is None else array_library.asarray(Z.astype(np.float32))
    solution = Problem(pair, X32, Z32).solve()
    assert solution.status is Status.CERTIFIED, str(solution.certificate)
    assert solution.relative_gap <= 1e-4
    assert solution.tol == pytest.approx(1e-4)
    assert solution.generator is not None
    assert "float32" in str(solution.generator.weights.dtype)
    assert solution.value == pytest.approx(Problem(pair, real_data(8), Z).solve().value, rel=1e-4)


@pytest.mark.parametrize("name", PAIRS)
def test_a_fresh_judge_certifies_every_solution(name: str, array_library: ModuleType) -> None:
    pair, Z = PAIRS[name]
    problem = Problem(pair, array_library.asarray(real_data(8)), None if Z is None else array_library.asarray(Z))
    assert verify(problem, problem.solve()).status is Status.CERTIFIED


def test_population_noise_gives_one_answer_on_every_array_library(array_library: ModuleType) -> None:
    pair = Discriminator.quadratic(beta=1.0) + Generator.polynomial(0.5, 1.0, 0.3)
    X, Z = real_data(9), Latent.normal(3)
    expected = Problem(pair, X, Z, normalize="mean").solve()
    moved = Problem(pair, array_library.asarray(X), Z, normalize="mean").solve()
    assert moved.status is expected.status is Status.CERTIFIED
    assert moved.value == pytest.approx(expected.value, rel=1e-12)


# ---- laws --------------------------------------------------------------------------------------------------------

SMALL = tuple(name for name in instance_names() if "faces" not in name and "digits" not in name)


def problem_that_uses(theorem: Reduction) -> Problem:
    for name in SMALL:
        problem = load_problem(name)
        try:
            find_step(problem, theorem)
        except AssertionError:
            continue
        return problem
    pytest.fail(f"no problem file uses the theorem {theorem.name!r}: add one")


@pytest.mark.parametrize("theorem", THEOREMS, ids=lambda theorem: type(theorem).__name__)
def test_every_theorem_obeys_weak_duality_and_inverts(theorem: Reduction) -> None:
    problem = problem_that_uses(theorem)
    check_reduction_inverts(problem, theorem)
    check_weak_duality(problem, problem.solve())


@pytest.mark.parametrize("name", SMALL)
def test_laws_hold_on_every_problem_file_and_every_method(name: str) -> None:
    problem = load_problem(name)
    for method in ("auto", "conic", "saddle"):
        try:
            solution = problem.solve(method=method)
        except ConvexWGANError:
            continue
        check_weak_duality(problem, solution)
    for theorem in THEOREMS:
        try:
            find_step(problem, theorem)
        except ConvexWGANError:
            return
        except AssertionError:
            continue
        check_reduction_inverts(problem, theorem)


def test_a_theorem_with_a_wrong_inverse_breaks_the_law() -> None:
    problem = load_problem("quadratic_linear_output")
    theorem = next(t for t in THEOREMS if type(t).__name__ == "LinearThreshold")

    class Wrong(type(theorem)):  # type: ignore[misc]
        def invert(self, form: Any, candidate: Any, data: Any) -> Any:
            right = super().invert(form, candidate, data)
            return right.having(weights=1.001 * right.weights)

    wrong = Wrong()
    problem.route("auto").steps  # noqa: B018
    with pytest.raises(AssertionError, match="no route"):
        check_reduction_inverts(problem, wrong)
    step = find_step(problem, theorem)

    class Posed:
        data = problem.data

        def route(self, method: str = "auto") -> Any:
            route = problem.route("auto")
            steps = tuple(type(step)(s.form, wrong) if s is step else s for s in route.steps)
            return type(route)(steps, route.last)

    with pytest.raises(AssertionError, match="moves the output's S"):
        check_reduction_inverts(Posed(), wrong)


@pytest.mark.parametrize(("field", "factor"), [("bound", 1.01), ("value", 0.99)])
def test_a_wrong_bound_or_value_breaks_weak_duality(field: str, factor: float) -> None:
    from dataclasses import replace

    problem = load_problem("quadratic_linear_output")
    solution = problem.solve()
    wrong = replace(solution, **{field: factor * getattr(solution, field)})
    with pytest.raises(AssertionError, match="weak duality"):
        check_weak_duality(problem, wrong)


# ---- sensitivity -------------------------------------------------------------------------------------------------

SENSITIVE = {
    "linear × linear": (lambda b: Discriminator.linear(beta=b) + Generator.linear(), noise(11), 9.0),
    "linear × free": (lambda b: Discriminator.linear(beta=b) + Generator.free(), None, 9.0),
    "linear × linear, weights": (
        lambda b: Discriminator.linear(beta=b) + Generator.linear() + Regularizer.weights(0.3),
        noise(11),
        9.0,
    ),
    "linear × linear, 1.5-norm": (
        lambda b: Discriminator.linear(beta=b) + Generator.linear() + Regularizer.norm(1.5, 2.0),
        noise(11),
        9.0,
    ),
    "quadratic × free": (lambda b: Discriminator.quadratic(beta=b) + Generator.free(), None, 30.0),
    "quadratic × linear": (lambda b: Discriminator.quadratic(beta=b) + Generator.linear(), noise(11), 30.0),
    "quadratic × polynomial": (
        lambda b: Discriminator.quadratic(beta=b) + Generator.polynomial(1, 1, 1),
        noise(11)[:, :2],
        30.0,
    ),
    "skip × free": (lambda b: Discriminator.quadratic(beta=b, skip=True) + Generator.free(), None, 30.0),
    "skip × linear": (lambda b: Discriminator.quadratic(beta=b, skip=True) + Generator.linear(), noise(11), 30.0),
    "polynomial × free": (lambda b: Discriminator.polynomial(1, 0.5, 0.1, beta=b) + Generator.free(), None, 30.0),
}


@pytest.mark.parametrize("name", SENSITIVE)
@pytest.mark.parametrize("normalize", ["sum", "mean"])
def test_sensitivity_is_the_derivative_of_the_value(name: str, normalize: Any) -> None:
    make, Z, beta = SENSITIVE[name]
    X = real_data(11)
    beta = beta if normalize == "sum" else beta / 30
    step = 1e-3 * beta
    solution, before, after = (
        Problem(make(b), X, Z, normalize=normalize).solve() for b in (beta, beta - step, beta + step)
    )
    assert solution.status is Status.CERTIFIED, str(solution.certificate)
    slope = (after.value - before.value) / (2 * step)
    assert slope < 0
    assert solution.sensitivity == pytest.approx(slope, rel=2e-4)
    assert solution.discriminator is not None
    assert solution.sensitivity == -float(np.abs(solution.discriminator.v).sum())


def test_sensitivity_of_the_conic_path_is_that_of_the_closed_form() -> None:
    problem = Problem(Discriminator.quadratic(beta=30.0) + Generator.linear(), real_data(11), noise(11))
    assert problem.solve(method="conic").sensitivity == pytest.approx(problem.solve().sensitivity, rel=1e-6)


def test_sensitivity_is_refused_under_a_norm_bound() -> None:
    solution = Problem(Discriminator.quadratic(norm_bound=True) + Generator.free(), real_data(11)).solve()
    with pytest.raises(InputError, match=r"sensitivity.*must.*weight decay"):
        _ = solution.sensitivity


# ---- the optimal discriminator -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in PAIRS if name != "quadratic × linear, weights"])
def test_neurons_attain_the_bound_by_their_definition(name: str) -> None:
    """min over outputs of L(D*, ·) at the stored generator: 1ᵀD(X) − 1ᵀD(G) + R_g − β_dΣ|v| = value."""
    pair, Z = PAIRS[name]
    X = real_data(8)
    problem = Problem(pair, X, Z)
    solution = problem.solve()
    assert solution.discriminator is not None
    assert solution.generator is not None
    D, G, W = solution.discriminator, solution.generator.output, solution.generator.weights
    assert np.linalg.norm(D.u, axis=1).max() <= 1 + 1e-12
    regularizer = pair.regularizer
    target = W if regularizer.of == "weights" else G
    cost = (
        0.5 * regularizer.strength * float(np.sum(target**2))
        if regularizer.is_quadratic
        else regularizer.strength * float(np.linalg.norm(target.ravel(), regularizer.p))
    )
    decay = 0.0 if pair.discriminator.norm_bound else problem.data.beta * D.total_weight
    payoff = float(D(X).sum() - D(G).sum()) + cost - decay
    assert payoff == pytest.approx(solution.value, rel=1e-6)


# ---- Problem.path ------------------------------------------------------------------------------------------------

BETAS = (2.0, 30.0, 31.5, 200.0, 1e6)


@pytest.mark.parametrize("name", [name for name in PAIRS if "norm bound" not in name])
def test_path_equals_separate_solves(name: str) -> None:
    from dataclasses import replace

    pair, Z = PAIRS[name]
    X = real_data(8)
    for beta, solution in zip(BETAS, Problem(pair, X, Z).path(BETAS), strict=True):
        discriminator = replace(pair.discriminator, beta=beta, components=None)
        alone = Problem(replace(pair, discriminator=discriminator), X, Z).solve()
        assert solution.wgan.discriminator == discriminator
        assert solution.status is alone.status
        assert solution.value == pytest.approx(alone.value, rel=1e-9, abs=1e-9)
        check_weak_duality(Problem(replace(pair, discriminator=discriminator), X, Z), solution)


def test_path_is_lazy_and_factors_once(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Z = real_data(8), noise(8)
    problem = Problem(Discriminator.quadratic(beta=30.0) + Generator.linear(), X, Z)
    calls = 0
    plain = np.linalg.eigh

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        return plain(*arguments, **options)

    problem.explain()
    problem.solve()
    monkeypatch.setattr(np.linalg, "eigh", counted)
    solutions = problem.path([10.0, 20.0, 30.0, 40.0])
    assert calls == 0
    values = [solution.value for solution in solutions]
    assert values == sorted(values, reverse=True)
    assert calls <= 4, "each point of the path factored the data again"


def test_path_verifies_against_the_problem_of_its_own_beta() -> None:
    X, Z = real_data(8), noise(8)
    problem = Problem(Discriminator.quadratic(beta=30.0) + Generator.linear(), X, Z)
    solution = next(problem.path([50.0]))
    alone = Problem(Discriminator.quadratic(beta=50.0) + Generator.linear(), X, Z)
    assert verify(alone, solution).status is Status.CERTIFIED
    assert verify(problem, solution).status is not Status.CERTIFIED


def test_path_raises_for_a_norm_bound_at_once() -> None:
    problem = Problem(Discriminator.quadratic(norm_bound=True) + Generator.free(), real_data(8))
    with pytest.raises(InputError, match=r"path.*must"):
        problem.path([1.0])


@pytest.mark.parametrize("beta", [0.0, -1.0, math.nan, math.inf, "2", True])
def test_path_refuses_a_beta_that_is_not_positive(beta: Any) -> None:
    problem = Problem(Discriminator.quadratic(beta=1.0) + Generator.free(), real_data(8))
    with pytest.raises(InputError, match=r"beta.*must"):
        problem.path([1.0, beta])


# ---- to_cvxpy, relaxation, export --------------------------------------------------------------------------------

CONIC = [name for name in PAIRS if name not in ("quadratic × linear, weights", "quadratic × linear, components")]


@pytest.mark.parametrize("name", CONIC)
def test_to_cvxpy_solved_by_clarabel_gives_the_value(name: str) -> None:
    pair, Z = PAIRS[name]
    problem = Problem(pair, real_data(8), Z)
    program = problem.to_cvxpy()
    assert all(not variable.name().startswith("var") for variable in program.variables())
    program.solve(solver=cp.CLARABEL, tol_gap_rel=1e-10, tol_gap_abs=1e-10, tol_feas=1e-10)
    assert float(program.value) == pytest.approx(problem.solve().value, rel=1e-6)


@pytest.mark.parametrize("name", CONIC)
@pytest.mark.parametrize("suffix", [".cbf", ".dat-s"])
def test_export_writes_a_file_that_names_its_format(name: str, suffix: str, tmp_path: Path) -> None:
    pair, Z = PAIRS[name]
    path = Problem(pair, real_data(8), Z).export(tmp_path / f"program{suffix}")
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) > 5
    if suffix == ".cbf":
        assert "VER" in text.split()
    assert list(tmp_path.iterdir()) == [path]


def test_relaxation_never_exceeds_the_value_and_is_refused_where_none_is_needed() -> None:
    for seed in range(3):
        X, Z = real_data(seed), noise(seed)
        pair = Discriminator.quadratic(beta=20.0) + Generator.linear() + Regularizer.weights(1.0)
        problem = Problem(pair, X, Z)
        assert float(problem.relaxation().solve(solver=cp.CLARABEL)) <= problem.solve().value * (1 + 1e-9)
    with pytest.raises(NotConicError, match="to_cvxpy"):
        Problem(Discriminator.quadratic(beta=20.0) + Generator.free(), real_data(0)).relaxation()


def test_export_of_a_problem_without_conic_form_names_the_obstacle(tmp_path: Path) -> None:
    pair = Discriminator.quadratic(beta=20.0) + Generator.linear() + Regularizer.weights(1.0)
    with pytest.raises(NotConicError, match=r"no exact conic form.*duality gap"):
        Problem(pair, real_data(0), noise(0)).export(tmp_path / "x.cbf")
    assert not list(tmp_path.iterdir())


# ---- options of solve --------------------------------------------------------------------------------------------


def posed(method_has_conic: bool = True) -> Problem:
    pair = Discriminator.quadratic(beta=30.0) + Generator.linear()
    return Problem(pair if method_has_conic else pair + Regularizer.weights(1.0), real_data(8), noise(8))


@pytest.mark.parametrize("given", [{"solver": "CLARABEL"}, {"solver": "SCS"}, {"options": {"max_iter": 3}}])
def test_closed_form_refuses_what_it_cannot_honour(given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"must not be given.*conic"):
        posed().solve(**given)


def test_conic_by_scs_is_judged_like_every_other() -> None:
    solution = posed().solve(method="conic", solver="scs", tol=1e-3)
    assert solution.status in (Status.CERTIFIED, Status.BRACKETED)
    assert solution.stats.extra["solver"] == "SCS"
    assert solution.bound <= posed().solve().value * (1 + 1e-9) <= solution.value * (1 + 1e-6)


def test_max_iter_returns_the_status_earned_and_says_what_stopped_it() -> None:
    solution = posed().solve(method="conic", max_iter=2)
    assert solution.stats.stopped == "max_iter"
    assert solution.status in (Status.BRACKETED, Status.UNVERIFIED, Status.FAILED)
    assert not math.isnan(solution.value)
    if solution.status is Status.BRACKETED:
        exact = posed().solve().value
        assert solution.bound <= exact * (1 + 1e-9) <= solution.value * (1 + 1e-6)


def test_time_limit_returns_the_status_earned_and_says_what_stopped_it() -> None:
    solution = posed().solve(method="conic", time_limit=1e-9)
    assert solution.stats.stopped == "time_limit"
    assert solution.status is not Status.CERTIFIED or solution.relative_gap <= solution.tol


def test_callback_sees_bounds_that_bracket_the_value() -> None:
    seen: list[dict[str, Any]] = []
    for method in ("closed_form", "conic"):
        solution = posed().solve(method=method, callback=seen.append)
        assert seen[-1]["lower"] == solution.bound
        assert seen[-1]["upper"] == solution.value
        assert {"stage", "lower", "upper", "seconds"} <= set(seen[-1])
    assert len(seen) >= 2


def test_warm_start_never_makes_the_answer_worse() -> None:
    good = posed().solve()
    stopped = posed().solve(method="conic", max_iter=1, warm_start=good)
    assert stopped.value <= good.value * (1 + 1e-9)
    assert stopped.status is Status.CERTIFIED
    assert verify(posed(), stopped).status is Status.CERTIFIED


def test_warm_start_of_another_problem_is_judged_on_this_one() -> None:
    pair = Discriminator.quadratic(beta=3.0) + Generator.linear()
    other = Problem(pair, 2.0 * real_data(12), noise(8)).solve()
    solution = posed().solve(method="conic", max_iter=1, warm_start=other)
    exact = posed().solve().value
    assert solution.bound <= exact * (1 + 1e-9)
    if solution.status in (Status.CERTIFIED, Status.BRACKETED):
        assert solution.value >= exact * (1 - 1e-6)


@pytest.mark.parametrize("warm_start", [3, "solution", None])
def test_warm_start_that_is_no_solution_is_refused(warm_start: Any) -> None:
    if warm_start is None:
        free = Problem(Discriminator.quadratic(beta=30.0) + Generator.free(), real_data(8)).solve()
        warm_start = free
    with pytest.raises(InputError, match=r"warm_start.*must"):
        posed().solve(warm_start=warm_start)


def test_tol_is_what_the_certificate_refers_to() -> None:
    assert posed().solve(tol=1e-10).tol == 1e-10
    assert posed().solve(tol=1e-10).status is Status.CERTIFIED
    loose = Problem(Discriminator.linear(beta=9.0) + Generator.linear() + Regularizer.norm(1.5), real_data(8), noise(8))
    assert loose.solve(tol=1e-15).status is Status.BRACKETED


# ---- dist from both sides ----------------------------------------------------------------------------------------

DISCRIMINATORS = {
    "linear": Discriminator.linear(beta=1.0),
    "quadratic": Discriminator.quadratic(beta=1.0),
    "quadratic, norm bound": Discriminator.quadratic(norm_bound=True),
    "polynomial": Discriminator.polynomial(0.7, -1.1, 0.3, beta=1.0),
    "polynomial, concave": Discriminator.polynomial(-0.7, 0.2, -2.0, beta=1.0),
    "polynomial, no square": Discriminator.polynomial(0.0, 1.0, 1.0, beta=1.0),
}


def neuron_gain(spec: Discriminator, u: Array, b: float | None, X: Array, G: Array, normalize: str) -> Array:
    """|1ᵀσ(Xu) − 1ᵀσ(Gu)| for directions u as rows, summed sample by sample."""
    a1, b1, c1 = spec.activation
    reduce = np.sum if normalize == "sum" else np.mean

    def total(T: Array) -> Array:
        return np.asarray(reduce(a1 * T**2 + b1 * T + c1, axis=0))

    return np.abs(total(X @ u.T) - total(G @ u.T))


@pytest.mark.parametrize("name", DISCRIMINATORS)
@pytest.mark.parametrize("normalize", ["sum", "mean"])
@pytest.mark.parametrize("case", ["generic", "shifted", "equal", "one dimension"])
def test_dist_is_attained_by_its_neuron_and_never_below_sampled_ones(name: str, normalize: Any, case: str) -> None:
    rng = np.random.default_rng(17)
    d = 1 if case == "one dimension" else 3
    X, G = rng.standard_normal((11, d)), 1.2 * rng.standard_normal((7, d))
    if case == "shifted":
        G = G + 2.0
    if case == "equal":
        G = X[::-1].copy()
    spec = DISCRIMINATORS[name]
    distance = Problem(spec + Generator.free(), X, normalize=normalize).dist(G)
    u = rng.standard_normal((100_000, d))
    u *= (rng.uniform(size=(len(u), 1)) ** (1 / d)) / np.linalg.norm(u, axis=1, keepdims=True)
    scale = float(np.sum(X**2) + np.sum(G**2))
    sampled = neuron_gain(spec, u, None, X, G, normalize)
    assert distance.is_exact
    assert distance.value >= float(sampled.max()) - 1e-12 * scale
    assert np.linalg.norm(distance.u) <= 1 + 1e-12
    attained = float(neuron_gain(spec, distance.u[None, :], distance.b, X, G, normalize)[0])
    assert attained == pytest.approx(distance.value, rel=1e-9, abs=1e-12 * scale)
    if case != "equal":
        assert distance.value <= 1.2 * float(sampled.max()) + 1e-12 * scale


def test_dist_of_the_solution_is_within_beta() -> None:
    for name, (pair, Z) in PAIRS.items():
        problem = Problem(pair, real_data(8), Z)
        if pair.discriminator.norm_bound:
            continue
        solution = problem.solve()
        assert solution.generator is not None
        assert problem.dist(solution.generator.output).value <= problem.data.beta * (1 + 1e-6), name


@pytest.mark.parametrize("G", [np.zeros((3, 5)), np.zeros(4), np.full((3, 4), math.nan), "G", None])
def test_dist_refuses_an_output_that_does_not_fit(G: Any) -> None:
    with pytest.raises(InputError, match=r"G.*must"):
        Problem(Discriminator.quadratic(beta=1.0) + Generator.free(), real_data(8)).dist(G)
