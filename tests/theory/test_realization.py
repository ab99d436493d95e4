"""Realization: a generator with exactly the moments of a MomentPoint, for every generator and array library."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from convexwgan import Discriminator, Generator, Latent
from convexwgan.arrays import to_numpy64
from convexwgan.geometry.polynomials import lift
from convexwgan.spec.wgan import WGAN
from convexwgan.theory.candidate import MomentPoint
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Normalize
from convexwgan.theory.realization import mean_weights, realize

DIM = 5
ACTIVATION = (1.0, 0.5, 0.2)
NORMALIZE: tuple[Normalize, ...] = ("sum", "mean")


def pair(generator: Generator) -> WGAN:
    return Discriminator.quadratic(beta=1.0, skip=True) + generator


def point(k: int, rng: np.random.Generator, library: ModuleType, with_mean: bool) -> MomentPoint:
    V = np.linalg.qr(rng.standard_normal((DIM, DIM)))[0][:, :k]
    tau = np.sort(rng.uniform(0.5, 9.0, k))[::-1].copy()
    mean = library.asarray(rng.standard_normal(DIM)) if with_mean else None
    return MomentPoint(library.asarray(V.copy()), library.asarray(tau), mean)


def wanted(target: MomentPoint, rho: float) -> tuple[np.ndarray, np.ndarray | None]:
    """S = ssᵀ/ρ + V diag(τ) Vᵀ and s."""
    V, tau = to_numpy64(target.directions), to_numpy64(target.variances)
    S = (V * tau) @ V.T
    if target.mean is None:
        return S, None
    s = to_numpy64(target.mean)
    return S + np.outer(s, s) / rho, s


def assert_has_moments(G: np.ndarray, weight: float, target: MomentPoint, rho: float) -> None:
    S, s = wanted(target, rho)
    np.testing.assert_allclose(weight * G.T @ G, S, atol=1e-11 * float(np.linalg.norm(S)))
    if s is not None:
        np.testing.assert_allclose(weight * G.sum(axis=0), s, atol=1e-11 * float(np.linalg.norm(s)))


def output(data: GameData, W: Any) -> Any:
    """G = FW, F the features that the weights act on (Z, lifted or with its columns scaled)."""
    return to_numpy64(data.features) @ to_numpy64(W)


def rho_of(F: np.ndarray, weight: float) -> float:
    """ρ = ‖P_F 1‖² in the convention's units."""
    ones = np.ones(len(F))
    return weight * float(ones @ F @ np.linalg.lstsq(F, ones, rcond=None)[0])


@pytest.mark.parametrize("normalize", NORMALIZE)
@pytest.mark.parametrize("with_mean", [False, True])
@pytest.mark.parametrize(("n_real", "n_fake", "k"), [(9, 9, 3), (9, 7, 3), (9, 20, 5), (4, 4, 3), (9, 4, 3), (3, 3, 0)])
def test_a_free_output_has_the_moments_that_were_asked_for(
    array_library: ModuleType,
    rng: np.random.Generator,
    n_real: int,
    n_fake: int,
    k: int,
    with_mean: bool,
    normalize: Normalize,
) -> None:
    X = array_library.asarray(rng.standard_normal((n_real, DIM)) + 1.0)
    data = GameData(pair(Generator.free()), X, None, None, n_fake, normalize)
    target = point(k, rng, array_library, with_mean)
    G = realize(target, data)
    assert type(G) is type(X)
    weight = 1.0 if normalize == "sum" else 1.0 / n_fake
    assert tuple(G.shape) == (n_fake, DIM)
    assert_has_moments(to_numpy64(G), weight, target, weight * n_fake)


@pytest.mark.parametrize("n_fake", [3, 6])
def test_a_free_output_can_use_all_of_its_rank(
    array_library: ModuleType, rng: np.random.Generator, n_fake: int
) -> None:
    X = array_library.asarray(rng.standard_normal((6, DIM)))
    data = GameData(pair(Generator.free()), X, None, None, n_fake, "sum")
    full = point(min(n_fake, DIM), rng, array_library, with_mean=False)
    assert_has_moments(to_numpy64(realize(full, data)), 1.0, full, n_fake)
    centred = point(min(n_fake - 1, DIM), rng, array_library, with_mean=True)
    assert_has_moments(to_numpy64(realize(centred, data)), 1.0, centred, n_fake)


@pytest.mark.parametrize("with_mean", [False, True])
def test_a_free_output_is_realised_on_data_of_lower_rank_than_asked(
    array_library: ModuleType, rng: np.random.Generator, with_mean: bool
) -> None:
    """With n_f = n_r the frame comes from the data, which here have rank 1."""
    X = array_library.asarray(np.outer(rng.standard_normal(8), rng.standard_normal(DIM)) + 1.0)
    data = GameData(pair(Generator.free()), X, None, None, 8, "sum")
    target = point(4, rng, array_library, with_mean)
    assert_has_moments(to_numpy64(realize(target, data)), 1.0, target, 8.0)


def test_a_free_output_of_as_many_rows_as_the_data_shrinks_each_row_toward_the_kept_directions(
    rng: np.random.Generator,
) -> None:
    """S = (M − β)₊ with L the left singular basis: row i of G is row i of X, each component scaled down."""
    X = rng.standard_normal((12, DIM))
    values, V = np.linalg.eigh(X.T @ X)
    beta = float(values[2])
    kept = values > beta
    data = GameData(pair(Generator.free()), X, None, None, 12, "sum")
    G = realize(MomentPoint(V[:, kept], values[kept] - beta), data)
    np.testing.assert_allclose(np.abs(G @ V[:, kept]), np.abs(X @ V[:, kept] * np.sqrt(1 - beta / values[kept])))


@pytest.mark.parametrize("normalize", NORMALIZE)
@pytest.mark.parametrize("with_mean", [False, True])
@pytest.mark.parametrize("generator", [Generator.linear(), Generator.polynomial(*ACTIVATION)], ids=repr)
@pytest.mark.parametrize(("n_fake", "width", "k"), [(30, 4, 3), (3, 6, 2), (40, 2, 1), (30, 4, 0)])
def test_sampled_noise_is_turned_into_the_moments_that_were_asked_for(
    array_library: ModuleType,
    rng: np.random.Generator,
    n_fake: int,
    width: int,
    k: int,
    generator: Generator,
    with_mean: bool,
    normalize: Normalize,
) -> None:
    X, Z = rng.standard_normal((9, DIM)), rng.standard_normal((n_fake, width)) + 0.4
    data = GameData(pair(generator), array_library.asarray(X), array_library.asarray(Z), None, n_fake, normalize)
    target = point(k, rng, array_library, with_mean)
    W = realize(target, data)
    assert type(W) is type(data.X)
    features = Z if generator.coefficients is None else lift(Z, generator.coefficients)
    weight = 1.0 if normalize == "sum" else 1.0 / n_fake
    assert_has_moments(output(data, W), weight, target, rho_of(features, weight))


def test_rank_deficient_noise_is_used_up_to_its_rank(array_library: ModuleType, rng: np.random.Generator) -> None:
    Z = rng.standard_normal((20, 3)) @ rng.standard_normal((3, 7))
    X = array_library.asarray(rng.standard_normal((9, DIM)))
    data = GameData(pair(Generator.linear()), X, array_library.asarray(Z), None, 20, "sum")
    for k, with_mean in ((3, False), (2, True)):
        target = point(k, rng, array_library, with_mean)
        assert_has_moments(output(data, realize(target, data)), 1.0, target, rho_of(Z, 1.0))


def test_noise_with_a_constant_column_has_rho_equal_to_the_number_of_samples(rng: np.random.Generator) -> None:
    Z = np.column_stack([rng.standard_normal((15, 3)), np.ones(15)])
    data = GameData(pair(Generator.linear()), rng.standard_normal((9, DIM)), Z, None, 15, "sum")
    assert data.rho == pytest.approx(15, rel=1e-12)
    target = point(3, rng, np, with_mean=True)
    assert_has_moments(output(data, realize(target, data)), 1.0, target, 15.0)


def test_centred_noise_leaves_the_mean_at_zero(array_library: ModuleType, rng: np.random.Generator) -> None:
    half = rng.standard_normal((10, 4))
    Z = np.concatenate([half, -half])
    X = array_library.asarray(rng.standard_normal((9, DIM)))
    data = GameData(pair(Generator.linear()), X, array_library.asarray(Z), None, 20, "sum")
    assert data.mean_is_zero
    target = point(4, rng, array_library, with_mean=False)
    assert_has_moments(output(data, realize(target, data)), 1.0, target, 1.0)
    assert not np.any(to_numpy64(mean_weights(array_library.asarray(np.ones(DIM)), data)))


@pytest.mark.parametrize("generator", [Generator.linear(), Generator.polynomial(*ACTIVATION)], ids=repr)
def test_population_noise_is_turned_into_the_moments_that_were_asked_for(
    array_library: ModuleType, rng: np.random.Generator, generator: Generator
) -> None:
    """E[z̃z̃ᵀ] by Gauss–Hermite quadrature, exact for the polynomials of degree 4 that it integrates."""
    nodes, quadrature = np.polynomial.hermite_e.hermegauss(5)
    first, second = np.meshgrid(nodes, nodes)
    z = np.column_stack([first.ravel(), second.ravel()])
    probability = np.outer(quadrature, quadrature).ravel() / quadrature.sum() ** 2
    features = z if generator.coefficients is None else lift(z, generator.coefficients)
    rows = features * np.sqrt(probability)[:, None]
    X = array_library.asarray(rng.standard_normal((9, DIM)))
    data = GameData(pair(generator), X, None, Latent.normal(2), 9, "mean")
    with_mean = generator.kind == "polynomial"
    target = point(2, rng, array_library, with_mean)
    W = to_numpy64(realize(target, data))
    rho = data.rho or 1.0
    S, s = wanted(target, rho)
    np.testing.assert_allclose((rows @ W).T @ (rows @ W), S, atol=1e-11)
    if s is not None:
        np.testing.assert_allclose(probability @ features @ W, s, atol=1e-11)


@pytest.mark.parametrize("normalize", NORMALIZE)
def test_mean_weights_move_the_mean_at_the_least_output_norm(normalize: Normalize, rng: np.random.Generator) -> None:
    Z, s = rng.standard_normal((20, 4)) + 1.0, rng.standard_normal(DIM)
    data = GameData(pair(Generator.linear()), rng.standard_normal((9, DIM)), Z, None, 20, normalize)
    weight = 1.0 if normalize == "sum" else 1.0 / 20
    W = mean_weights(s, data)
    F = to_numpy64(data.features)
    np.testing.assert_allclose(weight * (F @ W).sum(axis=0), s, atol=1e-12)
    cost = weight * np.sum((F @ W) ** 2)
    assert cost == pytest.approx(s @ s / rho_of(Z, weight), rel=1e-12)
    z_bar = weight * F.sum(axis=0)
    for _ in range(20):  # any other W of the same mean: F(W + N) with z̄ᵀN = 0
        N = rng.standard_normal((4, DIM))
        N -= np.outer(z_bar, z_bar @ N) / (z_bar @ z_bar)
        assert weight * np.sum((F @ (W + 0.1 * N)) ** 2) >= cost


def test_no_components_at_all_is_the_zero_generator(array_library: ModuleType, rng: np.random.Generator) -> None:
    X: Any = array_library.asarray(rng.standard_normal((6, DIM)))
    for generator, Z in ((Generator.free(), None), (Generator.linear(), array_library.asarray(np.ones((6, 2))))):
        data = GameData(pair(generator), X, Z, None, 6, "sum")
        W = to_numpy64(realize(point(0, rng, array_library, with_mean=False), data))
        assert W.shape == ((6, DIM) if Z is None else (2, DIM))
        assert not np.any(W)
