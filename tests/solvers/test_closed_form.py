"""The closed forms of MATH 3.1–3.6 against the same formulas written from the singular values of X and Z by hand."""

from __future__ import annotations

from itertools import product
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from convexwgan import Discriminator, Generator, Latent, Problem, Regularizer, Solution, Status
from convexwgan.arrays import to_numpy64
from convexwgan.geometry.polynomials import lift
from convexwgan.theory.forms import Normalize

Matrix = Any  # a NumPy array
BETA_G = 0.7
OUTPUT, WEIGHTS = Regularizer.output(BETA_G), Regularizer.weights(BETA_G)
NORMALIZE: tuple[Normalize, ...] = ("sum", "mean")
EXACT = 1e-10


class Game:
    """X and Z of one random game with their moments, computed by the test itself."""

    def __init__(self, rng: np.random.Generator, normalize: Normalize, n_real: int = 14, n_fake: int = 11) -> None:
        self.X = rng.standard_normal((n_real, 4)) * [3.0, 2.0, 1.5, 1.0] + 0.6
        self.Z = rng.standard_normal((n_fake, 5)) * [2.0, 1.5, 1.0, 0.7, 0.5] + 0.4
        self.normalize = normalize

    def real(self) -> tuple[Matrix, Matrix]:
        w = 1.0 if self.normalize == "sum" else 1.0 / len(self.X)
        return w * self.X.sum(axis=0), w * self.X.T @ self.X

    def fake(self, F: Matrix) -> tuple[Matrix, Matrix]:
        w = 1.0 if self.normalize == "sum" else 1.0 / len(F)
        return w * F.sum(axis=0), w * F.T @ F

    def mass(self) -> float:
        return float(len(self.Z)) if self.normalize == "sum" else 1.0

    def spectrum(self) -> Matrix:
        """σ_i², from the singular values of X."""
        w = 1.0 if self.normalize == "sum" else 1.0 / len(self.X)
        return w * np.linalg.svd(self.X, compute_uv=False) ** 2

    def solve(self, wgan: Any, library: ModuleType = np) -> Solution:
        moved = library.asarray
        needs_noise = wgan.players[1].needs_noise
        return Problem(
            wgan,
            moved(self.X),
            moved(self.Z) if needs_noise else None,
            n_fake=None if needs_noise else len(self.Z),
            normalize=self.normalize,
        ).solve()

    def output(self, solution: Solution) -> Matrix:
        assert solution.generator is not None
        return to_numpy64(solution.generator.output)


def rho(z_bar: Matrix, A: Matrix) -> float:
    return float(z_bar @ np.linalg.pinv(A, hermitian=True) @ z_bar)


def plus(values: Any) -> Any:
    return np.maximum(values, 0.0)


def assert_certified(solution: Solution, value: float) -> None:
    assert solution.status is Status.CERTIFIED, str(solution.certificate)
    assert solution.value == pytest.approx(value, rel=EXACT, abs=1e-12)
    assert solution.bound == pytest.approx(value, rel=1e-8, abs=1e-12)
    assert solution.relative_gap <= 1e-8


@pytest.fixture(params=NORMALIZE)
def game(request: pytest.FixtureRequest, rng: np.random.Generator) -> Game:
    return Game(rng, request.param)


# ---- 3.1 linear discriminator ----------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.3, 0.999, 1.0, 1.5])
def test_the_mean_shrinks_until_it_is_beta_d_away_free(game: Game, array_library: ModuleType, share: float) -> None:
    m, _ = game.real()
    beta = share * float(np.linalg.norm(m))
    s = m * max(1 - share, 0.0)
    solution = game.solve(Discriminator.linear(beta=beta) + Generator.free() + OUTPUT, array_library)
    assert_certified(solution, BETA_G / 2 * float(s @ s) / game.mass())
    row = s / game.mass()
    np.testing.assert_allclose(game.output(solution), np.tile(row, (len(game.Z), 1)), atol=1e-12)


@pytest.mark.parametrize("lifted", [False, True])
def test_the_mean_shrinks_output_and_weights_linear(game: Game, array_library: ModuleType, lifted: bool) -> None:
    activation = (1.0, 0.5, 0.2)
    F = lift(game.Z, activation) if lifted else game.Z
    G = Generator.polynomial(*activation) if lifted else Generator.linear()
    m, _ = game.real()
    z_bar, A = game.fake(F)
    beta = 0.4 * float(np.linalg.norm(m))
    s = 0.6 * m
    output = game.solve(Discriminator.linear(beta=beta) + G + OUTPUT, array_library)
    assert_certified(output, BETA_G / 2 * float(s @ s) / rho(z_bar, A))
    weights = game.solve(Discriminator.linear(beta=beta) + G + WEIGHTS, array_library)
    assert_certified(weights, BETA_G / 2 * float(s @ s) / float(z_bar @ z_bar))
    assert weights.generator is not None
    np.testing.assert_allclose(to_numpy64(weights.generator.weights), np.outer(z_bar, s) / (z_bar @ z_bar), rtol=1e-10)
    for solution in (output, weights):
        np.testing.assert_allclose(game.fake(game.output(solution))[0], s, rtol=1e-9)


@pytest.mark.parametrize("strength", [0.05, 0.7, 20.0, 4000.0])
@pytest.mark.parametrize("kind", ["free", "output", "weights"])
def test_under_a_norm_bound_the_mean_grows_until_it_costs_what_it_gains(
    game: Game, array_library: ModuleType, kind: str, strength: float
) -> None:
    """min over ‖s‖ of (β_g/(2c))‖s‖² + ‖m‖ − ‖s‖: ‖s‖ = min(‖m‖, c/β_g)."""
    m, _ = game.real()
    size = float(np.linalg.norm(m))
    z_bar, A = game.fake(game.Z)
    c = {"free": game.mass(), "output": rho(z_bar, A), "weights": float(z_bar @ z_bar)}[kind]
    length = min(size, c / strength)
    R = Regularizer.weights(strength) if kind == "weights" else Regularizer.output(strength)
    G = Generator.free() if kind == "free" else Generator.linear()
    solution = game.solve(Discriminator.linear(norm_bound=True) + G + R, array_library)
    assert_certified(solution, strength / 2 * length**2 / c + size - length)
    np.testing.assert_allclose(game.fake(game.output(solution))[0], m * length / size, rtol=1e-9)


def test_centred_noise_cannot_reach_a_mean_beyond_beta_d(array_library: ModuleType, rng: np.random.Generator) -> None:
    half = rng.standard_normal((6, 3))
    X, Z = array_library.asarray(np.array([[3.0, 4.0]])), array_library.asarray(np.concatenate([half, -half]))
    for R in (OUTPUT, WEIGHTS):
        far = Problem(Discriminator.linear(beta=4.9) + Generator.linear() + R, X, Z).solve()
        assert far.status is Status.INFEASIBLE
        assert far.value == far.bound == np.inf
        assert far.generator is None
        assert far.certificate.infeasibility is not None
        assert "z̄ = 0" in far.certificate.infeasibility.text
        near = Problem(Discriminator.linear(beta=5.0) + Generator.linear() + R, X, Z).solve()
        assert_certified(near, 0.0)
        bound = Problem(Discriminator.linear(norm_bound=True) + Generator.linear() + R, X, Z).solve()
        assert_certified(bound, 5.0)


def test_population_noise_has_no_mean_to_move(array_library: ModuleType) -> None:
    X = array_library.asarray(np.array([[3.0, 4.0], [3.0, 4.0]]))
    for beta, status in ((4.9, Status.INFEASIBLE), (5.0, Status.CERTIFIED)):
        wgan = Discriminator.linear(beta=beta) + Generator.linear()
        assert Problem(wgan, X, Latent.normal(3), normalize="mean").solve().status is status


# ---- 3.2 – 3.4 quadratic discriminator, weight decay -----------------------------------------------------------


def betas(sigma2: Matrix) -> dict[str, float]:
    """β_d below all, between two, at one, above all of the σ_i²."""
    return {
        "below": 0.5 * float(sigma2[-1]),
        "between": float(sigma2[1] + sigma2[2]) / 2,
        "tie": float(sigma2[1]),
        "above": 2.0 * float(sigma2[0]),
    }


@pytest.mark.parametrize("where", ["below", "between", "tie", "above"])
@pytest.mark.parametrize("kind", ["free", "linear", "polynomial"])
def test_eigenvalues_are_thresholded_at_beta_d(game: Game, array_library: ModuleType, kind: str, where: str) -> None:
    sigma2 = game.spectrum()
    beta = betas(sigma2)[where]
    G = {"free": Generator.free(), "linear": Generator.linear(), "polynomial": Generator.polynomial(1, 0.5, 0.2)}[kind]
    solution = game.solve(Discriminator.quadratic(beta=beta) + G + OUTPUT, array_library)
    assert_certified(solution, BETA_G / 2 * float(plus(sigma2 - beta).sum()))
    _, M = game.real()
    values, V = np.linalg.eigh(M)
    _, S = game.fake(game.output(solution))
    np.testing.assert_allclose(S, (V * plus(values - beta)) @ V.T, atol=1e-9 * sigma2[0])


def test_the_weights_are_those_of_equation_15(rng: np.random.Generator) -> None:
    """W = Q_kΛ_k^{−½}(Σ_k² − β_d)^½V_kᵀ, up to a sign for each component."""
    game = Game(rng, "sum")
    sigma2, (_, M) = game.spectrum(), game.real()
    beta = float(sigma2[2] + sigma2[3]) / 2
    solution = game.solve(Discriminator.quadratic(beta=beta) + Generator.linear() + WEIGHTS)
    lam, Q = np.linalg.eigh(game.Z.T @ game.Z)
    values, V = np.linalg.eigh(M)
    terms = [np.outer(Q[:, -1 - i], V[:, -1 - i]) * np.sqrt((values[-1 - i] - beta) / lam[-1 - i]) for i in range(3)]
    assert solution.generator is not None
    W = solution.generator.weights
    distances = [np.linalg.norm(W - sum(sign * term for sign, term in zip(signs, terms, strict=True)))
                 for signs in product((1, -1), repeat=3)]  # fmt: skip
    assert min(distances) < 1e-10 * np.linalg.norm(W)


@pytest.mark.parametrize("where", ["below", "between", "tie", "above"])
@pytest.mark.parametrize("lifted", [False, True])
def test_least_weights_match_the_largest_component_with_the_strongest_noise(
    game: Game, array_library: ModuleType, lifted: bool, where: str
) -> None:
    activation = (1.0, 0.5, 0.2)
    G = Generator.polynomial(*activation) if lifted else Generator.linear()
    F = lift(game.Z, activation) if lifted else game.Z
    sigma2 = game.spectrum()
    beta = betas(sigma2)[where]
    lam = np.linalg.eigvalsh(game.fake(F)[1])[::-1]
    solution = game.solve(Discriminator.quadratic(beta=beta) + G + WEIGHTS, array_library)
    assert_certified(solution, BETA_G / 2 * float(np.sum(plus(sigma2 - beta) / lam[:4])))
    assert solution.discriminator is None or where == "above"


def test_no_local_search_finds_smaller_weights_than_the_matched_spectra(rng: np.random.Generator) -> None:
    """The witness for quadratic × weights, which has a duality gap: augmented Lagrangian from many starts.

    min ‖W‖² s.t. −β I ⪯ M − WᵀAW ⪯ β I with A = diag(9, 4, 1): each inequality is penalised by
    ‖(multiplier/ρ + excess)₊‖², the positive part on the spectrum.
    """
    A, M, beta = np.diag([9.0, 4.0, 1.0]), np.diag([12.0, 7.0, 2.0]), 1.0
    optimum = float(np.sum(plus(np.array([12.0, 7.0, 2.0]) - beta) / np.array([9.0, 4.0, 1.0])))

    def augmented(w: Matrix, upper: Matrix, lower: Matrix, rho: float) -> tuple[float, Matrix]:
        W = w.reshape(3, 3)
        S = W.T @ A @ W
        P, Q = psd_part(upper + rho * (M - S - beta * np.eye(3))), psd_part(lower + rho * (S - M - beta * np.eye(3)))
        gradient = 2 * W + 2 * A @ W @ (Q - P)
        return float(np.sum(W**2) + (np.sum(P**2) + np.sum(Q**2)) / (2 * rho)), gradient.ravel()

    found = []
    for _ in range(12):
        w, upper, lower, rho = rng.standard_normal(9), np.zeros((3, 3)), np.zeros((3, 3)), 1.0
        for _ in range(25):
            w = minimize(
                augmented, w, (upper, lower, rho), jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-10}
            ).x
            S = w.reshape(3, 3).T @ A @ w.reshape(3, 3)
            upper = psd_part(upper + rho * (M - S - beta * np.eye(3)))
            lower = psd_part(lower + rho * (S - M - beta * np.eye(3)))
            rho = min(2 * rho, 1e3)
        excess = np.abs(np.linalg.eigvalsh(M - S)).max() - beta
        if excess < 1e-6:
            found.append(float(np.sum(w**2)))
    assert len(found) >= 6
    assert min(found) >= optimum * (1 - 1e-6)
    assert min(found) <= optimum * (1 + 1e-6)
    Z = np.diag([3.0, 2.0, 1.0])
    X = np.diag(np.sqrt([12.0, 7.0, 2.0]))
    solution = Problem(Discriminator.quadratic(beta=beta) + Generator.linear() + Regularizer.weights(2.0), X, Z).solve()
    assert_certified(solution, optimum)


def psd_part(S: Matrix) -> Matrix:
    values, V = np.linalg.eigh(S)
    return (V * plus(values)) @ V.T


def test_noise_of_too_low_rank_is_infeasible_and_names_the_eigenvalue_that_stays(
    array_library: ModuleType, rng: np.random.Generator
) -> None:
    X = np.diag([5.0, 4.0, 3.0, 2.0])
    Z = rng.standard_normal((9, 2)) @ rng.standard_normal((2, 5))
    for R in (OUTPUT, WEIGHTS):
        wgan = Discriminator.quadratic(beta=8.9) + Generator.linear() + R
        solution = Problem(wgan, array_library.asarray(X), array_library.asarray(Z)).solve()
        assert solution.status is Status.INFEASIBLE
        assert solution.certificate.infeasibility is not None
        assert solution.certificate.infeasibility.kind == "weyl"
        assert "σ²_3 = 9" in solution.certificate.infeasibility.text
        just = Discriminator.quadratic(beta=9.0) + Generator.linear() + R
        assert Problem(just, array_library.asarray(X), array_library.asarray(Z)).solve().status is Status.CERTIFIED


@pytest.mark.parametrize(("n_fake", "feasible"), [(1, False), (2, True), (3, True)])
def test_too_few_free_samples_are_infeasible(array_library: ModuleType, n_fake: int, feasible: bool) -> None:
    X = array_library.asarray(np.diag([3.0, 2.0, 1.0]))
    solution = Problem(Discriminator.quadratic(beta=2.0) + Generator.free() + OUTPUT, X, n_fake=n_fake).solve()
    if feasible:
        assert_certified(solution, BETA_G / 2 * (7.0 + 2.0))
    else:
        assert solution.status is Status.INFEASIBLE


def test_equal_singular_values_are_kept_or_dropped_together(array_library: ModuleType) -> None:
    X = array_library.asarray(np.diag([2.0, 2.0, 2.0, 1.0]))
    kept = Problem(Discriminator.quadratic(beta=3.0) + Generator.free() + OUTPUT, X).solve()
    assert_certified(kept, BETA_G / 2 * 3.0)
    dropped = Problem(Discriminator.quadratic(beta=4.0) + Generator.free() + OUTPUT, X, n_fake=1).solve()
    assert_certified(dropped, 0.0)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_components_keep_that_many_directions(game: Game, array_library: ModuleType, k: int) -> None:
    solution = game.solve(Discriminator.quadratic(components=k) + Generator.linear() + OUTPUT, array_library)
    sigma2 = game.spectrum()
    following = float(sigma2[k]) if k < 4 else 0.0
    assert solution.status is Status.CERTIFIED
    assert solution.value == pytest.approx(BETA_G / 2 * float(plus(sigma2 - following).sum()), rel=1e-9)
    assert solution.stats.extra["components"] == k
    assert solution.stats.extra["threshold"] >= following


def test_population_noise_gives_the_same_value_for_output_and_weights(
    array_library: ModuleType, rng: np.random.Generator
) -> None:
    """ZᵀZ/n = I: G and W have the same norm, and any dimension ≥ k will do."""
    game = Game(rng, "mean")
    sigma2 = game.spectrum()
    beta = float(sigma2[1] + sigma2[2]) / 2
    value = BETA_G / 2 * float(plus(sigma2 - beta).sum())
    for R in (OUTPUT, WEIGHTS):
        wgan = Discriminator.quadratic(beta=beta) + Generator.linear() + R
        X = array_library.asarray(game.X)
        assert_certified(Problem(wgan, X, Latent.normal(2), normalize="mean").solve(), value)
        assert Problem(wgan, X, Latent.normal(1), normalize="mean").solve().status is Status.INFEASIBLE


def test_population_noise_of_a_polynomial_generator_uses_its_fourth_moments(
    array_library: ModuleType, rng: np.random.Generator
) -> None:
    """d = 1, σ(t) = t² + t + 1: E[z̃z̃ᵀ] = [[3, 0, 1], [0, 1, 0], [1, 0, 1]]."""
    game = Game(rng, "mean")
    sigma2 = game.spectrum()
    beta = float(sigma2[1])
    lam = np.linalg.eigvalsh(np.array([[3.0, 0, 1], [0, 1, 0], [1, 0, 1]]))[::-1]
    wgan = Discriminator.quadratic(beta=beta) + Generator.polynomial(1, 1, 1) + WEIGHTS
    solution = Problem(wgan, array_library.asarray(game.X), Latent.normal(1), normalize="mean").solve()
    assert_certified(solution, BETA_G / 2 * float(np.sum(plus(sigma2[:3] - beta) / lam)))


# ---- 3.5 quadratic discriminator with skip ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["free", "linear", "polynomial"])
def test_the_mean_is_kept_and_centred_eigenvalues_are_thresholded(
    game: Game, array_library: ModuleType, kind: str
) -> None:
    activation = (1.0, 0.5, 0.2)
    (m, M), F = game.real(), lift(game.Z, activation) if kind == "polynomial" else game.Z
    r = game.mass() if kind == "free" else rho(*game.fake(F))
    gamma, V = np.linalg.eigh(M - np.outer(m, m) / r)
    beta = max(float(gamma[1] + gamma[2]) / 2, -float(gamma[0]) * 1.01)
    G = {"free": Generator.free(), "linear": Generator.linear(), "polynomial": Generator.polynomial(*activation)}[kind]
    solution = game.solve(Discriminator.quadratic(beta=beta, skip=True) + G + OUTPUT, array_library)
    assert_certified(solution, BETA_G / 2 * (float(m @ m) / r + float(plus(gamma - beta).sum())))
    s, S = game.fake(game.output(solution))
    np.testing.assert_allclose(s, m, rtol=1e-9)
    np.testing.assert_allclose(
        S, np.outer(m, m) / r + (V * plus(gamma - beta)) @ V.T, atol=1e-9 * float(np.linalg.norm(M))
    )


def test_a_mean_longer_than_the_noise_can_carry_is_infeasible(array_library: ModuleType) -> None:
    """γ_min = M − m²/ρ with ρ < n: one feature, two fakes for three reals of value 1: γ = 3 − 9/2 = −1.5."""
    X = array_library.asarray(np.ones((3, 1)))
    for beta, status in ((1.4, Status.INFEASIBLE), (1.5, Status.CERTIFIED)):
        wgan = Discriminator.quadratic(beta=beta, skip=True) + Generator.free()
        solution = Problem(wgan, X, n_fake=2).solve()
        assert solution.status is status
    assert solution.value == pytest.approx(0.5 * 9 / 2, rel=1e-12)
    infeasible = Problem(Discriminator.quadratic(beta=1.4, skip=True) + Generator.free(), X, n_fake=2).solve()
    assert infeasible.certificate.infeasibility is not None
    assert infeasible.certificate.infeasibility.kind == "indefinite"


def test_the_mean_takes_one_direction_of_the_noise(array_library: ModuleType, rng: np.random.Generator) -> None:
    """Noise of rank 2 with a constant column: ρ = n_f = 9, and one direction is left for C = M − mmᵀ/9."""
    X = np.concatenate([np.diag([4.0, 3.0, 2.0]), -np.diag([4.0, 3.0, 2.0])]) + 1.0
    m, M = X.sum(axis=0), X.T @ X
    gamma = np.linalg.eigvalsh(M - np.outer(m, m) / 9)[::-1]
    assert gamma[-1] > 0
    Z = np.column_stack([rng.standard_normal(9), np.ones(9)])
    for share, status in ((0.999, Status.INFEASIBLE), (1.001, Status.CERTIFIED)):
        wgan = Discriminator.quadratic(beta=share * float(gamma[1]), skip=True) + Generator.linear() + OUTPUT
        solution = Problem(wgan, array_library.asarray(X), array_library.asarray(Z)).solve()
        assert solution.status is status
    assert_certified(solution, BETA_G / 2 * (float(m @ m) / 9 + float(plus(gamma - 1.001 * gamma[1]).sum())))


def test_with_centred_noise_the_skip_asks_for_centred_data(array_library: ModuleType, rng: np.random.Generator) -> None:
    half = rng.standard_normal((7, 3))
    X, Z = np.concatenate([half, -half]), rng.standard_normal((8, 3))
    Z = np.concatenate([Z, -Z])
    sigma2 = np.linalg.svd(X, compute_uv=False) ** 2
    beta = float(sigma2[-1]) / 2  # all three components on noise of rank 3: the mean takes no direction
    wgan = Discriminator.quadratic(beta=beta, skip=True) + Generator.linear() + OUTPUT
    solution = Problem(wgan, array_library.asarray(X), array_library.asarray(Z)).solve()
    assert_certified(solution, BETA_G / 2 * float(plus(sigma2 - beta).sum()))
    moved = Problem(wgan, array_library.asarray(X + 0.1), array_library.asarray(Z)).solve()
    assert moved.status is Status.INFEASIBLE
    assert moved.certificate.infeasibility is not None
    assert moved.certificate.infeasibility.kind == "zero_mean"


def test_population_noise_with_skip_needs_centred_data(array_library: ModuleType, rng: np.random.Generator) -> None:
    half = rng.standard_normal((7, 3))
    X = np.concatenate([half, -half])
    sigma2 = np.linalg.svd(X, compute_uv=False) ** 2 / len(X)
    wgan = Discriminator.quadratic(beta=float(sigma2[1]), skip=True) + Generator.linear() + OUTPUT
    solution = Problem(wgan, array_library.asarray(X), Latent.normal(3), normalize="mean").solve()
    assert_certified(solution, BETA_G / 2 * float(plus(sigma2 - sigma2[1]).sum()))
    moved = Problem(wgan, array_library.asarray(X + 0.1), Latent.normal(3), normalize="mean").solve()
    assert moved.status is Status.INFEASIBLE


# ---- 3.6 quadratic discriminator, norm bound -------------------------------------------------------------------


def best_threshold(gamma: Matrix, prices: Matrix, least: float) -> float:
    """min over t ≥ least of t + Σ prices_i (γ_i − t)₊: piecewise linear, so a breakpoint is optimal."""
    gamma = gamma[: len(prices)]
    return float(min(t + np.sum(prices * plus(gamma - t)) for t in [least, *gamma[gamma > least]]))


@pytest.mark.parametrize("strength", [0.3, 0.4, 0.5, 2 / 3, 0.7, 1.0, 1.1, 2.0, 5.0])
@pytest.mark.parametrize("kind", ["free", "linear", "polynomial"])
def test_one_over_beta_g_chooses_how_many_components_stay(
    game: Game, array_library: ModuleType, kind: str, strength: float
) -> None:
    """0.4, 0.5, 2/3, 1, 2: 2/β_g is whole, and every t between two eigenvalues is optimal."""
    sigma2 = game.spectrum()
    G = {"free": Generator.free(), "linear": Generator.linear(), "polynomial": Generator.polynomial(1, 0.5, 0.2)}[kind]
    wgan = Discriminator.quadratic(norm_bound=True) + G + Regularizer.output(strength)
    solution = game.solve(wgan, array_library)
    assert_certified(solution, best_threshold(sigma2, np.full(4, strength / 2), 0.0))
    t = solution.stats.extra["threshold"]
    j = int(np.sum(sigma2 > t * (1 + 1e-12)))
    assert j <= 2 / strength + 1e-9
    assert solution.stats.extra["components"] == j
    assert solution.discriminator is not None
    assert solution.discriminator.total_weight <= 1 + 1e-9


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_norm_bound_with_noise_of_low_rank_stops_at_the_first_component_out_of_reach(
    array_library: ModuleType, rng: np.random.Generator, rank: int
) -> None:
    game = Game(rng, "sum")
    game.Z = rng.standard_normal((11, rank)) @ rng.standard_normal((rank, 5))
    sigma2 = game.spectrum()
    solution = game.solve(
        Discriminator.quadratic(norm_bound=True) + Generator.linear() + Regularizer.output(0.45), array_library
    )
    assert_certified(solution, best_threshold(sigma2, np.full(rank, 0.225), float(sigma2[rank])))
    assert solution.stats.extra["threshold"] == pytest.approx(float(sigma2[rank]))


def test_more_components_than_the_data_have_leave_nothing_to_tell_apart(array_library: ModuleType) -> None:
    X = array_library.asarray(np.diag([3.0, 2.0, 0.0]))
    solution = Problem(Discriminator.quadratic(norm_bound=True) + Generator.free() + Regularizer.output(0.5), X).solve()
    assert_certified(solution, 0.25 * 13.0)
    assert solution.stats.extra["threshold"] == 0.0


@pytest.mark.parametrize("strength", [0.01, 0.5, 2.0, 8.0, 40.0, 500.0])
def test_least_weights_under_a_norm_bound_pay_one_over_lambda_for_each_component(
    game: Game, array_library: ModuleType, strength: float
) -> None:
    sigma2 = game.spectrum()
    lam = np.linalg.eigvalsh(game.fake(game.Z)[1])[::-1]
    wgan = Discriminator.quadratic(norm_bound=True) + Generator.linear() + Regularizer.weights(strength)
    solution = game.solve(wgan, array_library)
    assert_certified(solution, best_threshold(sigma2, strength / 2 / lam[:4], 0.0))


@pytest.mark.parametrize("strength", [0.3, 0.5, 1.0, 1.1, 5.0])
@pytest.mark.parametrize("kind", ["free", "linear"])
def test_under_a_norm_bound_the_skip_threshold_also_covers_the_negative_eigenvalue(
    game: Game, array_library: ModuleType, kind: str, strength: float
) -> None:
    m, M = game.real()
    r = game.mass() if kind == "free" else rho(*game.fake(game.Z))
    gamma = np.linalg.eigvalsh(M - np.outer(m, m) / r)[::-1]
    G = Generator.free() if kind == "free" else Generator.linear()
    wgan = Discriminator.quadratic(norm_bound=True, skip=True) + G + Regularizer.output(strength)
    solution = game.solve(wgan, array_library)
    value = best_threshold(gamma, np.full(4, strength / 2), max(0.0, -float(gamma[-1])))
    assert_certified(solution, strength / 2 * float(m @ m) / r + value)


# ---- witnesses -------------------------------------------------------------------------------------------------

CONIC_WITNESS = [
    Discriminator.linear(beta=6.0) + Generator.linear() + OUTPUT,
    Discriminator.linear(beta=6.0) + Generator.linear() + WEIGHTS,
    Discriminator.linear(norm_bound=True) + Generator.free() + OUTPUT,
    Discriminator.quadratic(beta=25.0) + Generator.free() + OUTPUT,
    Discriminator.quadratic(beta=25.0) + Generator.linear() + OUTPUT,
    Discriminator.quadratic(norm_bound=True) + Generator.linear() + OUTPUT,
    Discriminator.quadratic(beta=25.0, skip=True) + Generator.linear() + OUTPUT,
    Discriminator.quadratic(norm_bound=True, skip=True) + Generator.free() + OUTPUT,
    Discriminator.quadratic(beta=25.0) + Generator.polynomial(1, 0.5, 0.2) + OUTPUT,
]


@pytest.mark.parametrize("wgan", CONIC_WITNESS, ids=repr)
def test_the_closed_form_is_the_optimum_that_clarabel_finds(wgan: Any, rng: np.random.Generator) -> None:
    game = Game(rng, "sum")
    Z = game.Z if wgan.players[1].needs_noise else None
    problem = Problem(wgan, game.X, Z)
    closed, conic = problem.solve(method="closed_form"), problem.solve(method="conic", solver="CLARABEL")
    assert closed.status is conic.status is Status.CERTIFIED
    assert closed.value == pytest.approx(conic.value, rel=1e-6)
    assert closed.bound <= conic.value * (1 + 1e-9)
    assert conic.bound <= closed.value * (1 + 1e-9)


SENSITIVE = [
    Discriminator.linear(beta=6.0) + Generator.linear() + OUTPUT,
    Discriminator.linear(beta=6.0) + Generator.linear() + WEIGHTS,
    Discriminator.quadratic(beta=25.0) + Generator.linear() + OUTPUT,
    Discriminator.quadratic(beta=25.0) + Generator.free() + OUTPUT,
    Discriminator.quadratic(beta=25.0, skip=True) + Generator.linear() + OUTPUT,
]


@pytest.mark.parametrize("wgan", SENSITIVE, ids=repr)
def test_the_neurons_price_beta_d(wgan: Any, rng: np.random.Generator) -> None:
    """d value/d β_d = −Σ|v_j|, by central differences."""
    game = Game(rng, "sum")
    problem = Problem(wgan, game.X, game.Z if wgan.players[1].needs_noise else None)
    beta = wgan.players[0].beta
    left, here, right = problem.path([beta - 1e-4, beta, beta + 1e-4])
    assert here.sensitivity == pytest.approx((right.value - left.value) / 2e-4, rel=1e-5)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_values_follow_the_units_of_the_data(rng: np.random.Generator, scale: float) -> None:
    """X → cX with β_d → c²β_d multiplies the value by c²."""
    game = Game(rng, "sum")
    wgan = Discriminator.quadratic(beta=25.0) + Generator.linear() + OUTPUT
    plain = game.solve(wgan).value
    game.X = scale * game.X
    scaled = game.solve(Discriminator.quadratic(beta=25.0 * scale**2) + Generator.linear() + OUTPUT)
    assert_certified(scaled, scale**2 * plain)


def test_float32_data_are_solved_in_float64_and_returned_in_float32(
    array_library: ModuleType, rng: np.random.Generator
) -> None:
    game = Game(rng, "sum")
    X, Z = game.X.astype(np.float32), game.Z.astype(np.float32)
    wgan = Discriminator.quadratic(beta=25.0) + Generator.linear() + OUTPUT
    solution = Problem(wgan, array_library.asarray(X), array_library.asarray(Z)).solve()
    assert solution.status is Status.CERTIFIED
    assert solution.relative_gap <= 1e-4
    assert solution.generator is not None
    assert "float32" in str(solution.generator.weights.dtype)
    sigma2 = np.linalg.svd(X.astype(np.float64), compute_uv=False) ** 2
    assert solution.value == pytest.approx(BETA_G / 2 * float(plus(sigma2 - 25.0).sum()), rel=1e-4)
