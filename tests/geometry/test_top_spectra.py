"""Leading eigenpairs: dense, Krylov and streamed agree with a dense decomposition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convexwgan.errors import InputError, SolveError
from convexwgan.geometry.rows import LocalRows, array_rows
from convexwgan.geometry.top_spectra import SpectrumPlan, plan_spectrum, top_eigenpairs

Matrix = np.ndarray[Any, Any]


def table(n: int, d: int, decay: float, seed: int = 0) -> Matrix:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) * np.arange(1, d + 1) ** -decay + 0.3


def krylov(block: int, basis: int) -> SpectrumPlan:
    return SpectrumPlan("krylov", block, basis, 0, "")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("plan", [None, krylov(8, 300), krylov(8, 48), krylov(5, 30)])
def test_values_and_residuals_are_those_of_the_dense_matrix(plan: Any, dtype: str) -> None:
    X = table(500, 300, 0.7).astype(dtype)
    mean = X.mean(axis=0, dtype=np.float64)
    M = (X - mean).T.astype(np.float64) @ (X - mean)
    found = top_eigenpairs(array_rows(X), mean, count=20, plan=plan, dtype=dtype, rng=np.random.default_rng(0))
    values = np.linalg.eigvalsh(M)[::-1]
    S = (found.vectors[:, :20] * (found.values[:20] - found.beta)) @ found.vectors[:, :20].T
    assert found.count == 20
    assert found.values[:21] == pytest.approx(values[:21], rel=1e-3)
    assert values[20] <= found.beta * (1 + 1e-4)
    assert np.linalg.norm(M - S, 2) <= found.beta * (1 + 2e-4)
    assert np.abs(found.vectors.T @ found.vectors - np.eye(found.vectors.shape[1])).max() < 1e-9


def test_blocks_of_any_size_give_the_same_pairs() -> None:
    X = table(200, 90, 0.6)
    found = []
    for rows in (1, 7, 64, 200):
        streamed = LocalRows(lambda a, b: X[a:b], X.shape, rows)
        plan, rng = krylov(6, 60), np.random.default_rng(1)
        found.append(top_eigenpairs(streamed, X.mean(axis=0), count=5, plan=plan, dtype="float64", rng=rng))
    for other in found[1:]:
        assert np.abs(other.vectors[:, :5] - found[0].vectors[:, :5]).max() < 1e-8
        assert other.beta == pytest.approx(found[0].beta, rel=1e-10)


def test_beta_keeps_exactly_what_exceeds_it() -> None:
    X = table(400, 200, 0.6)
    mean = X.mean(axis=0)
    values = np.linalg.eigvalsh((X - mean).T @ (X - mean))[::-1]
    beta = 0.5 * (values[6] + values[7])
    for plan in (None, krylov(5, 100)):
        found = top_eigenpairs(array_rows(X), mean, beta=beta, plan=plan, rng=np.random.default_rng(0))
        assert (found.count, found.beta) == (7, beta)


@pytest.mark.parametrize("shape", [(1, 40), (3, 40), (40, 3)])
def test_exhausted_spaces_end_the_iteration(shape: tuple[int, int]) -> None:
    X = table(*shape, 0.5)
    mean, plan = X.mean(axis=0), krylov(2, min(shape[1], shape[0] + 4))
    found = top_eigenpairs(array_rows(X), mean, count=2, plan=plan, dtype="float64", rng=np.random.default_rng(0))
    values = np.linalg.eigvalsh((X - mean).T @ (X - mean))[::-1]
    assert found.values[: found.count] == pytest.approx(values[: found.count], rel=1e-9)
    assert found.count == min(2, shape[0] - 1)


def test_equal_eigenvalues_are_found_with_their_multiplicity() -> None:
    X = np.vstack([np.eye(60) * 3.0, -np.eye(60) * 3.0])
    found = top_eigenpairs(
        array_rows(X), np.zeros(60), count=4, plan=krylov(4, 60), dtype="float64", rng=np.random.default_rng(0)
    )
    assert found.count == 0  # σ²_5 = σ²_1: nothing is strictly larger
    assert found.beta == pytest.approx(18.0)


def test_non_finite_data_and_ambiguous_requests_are_refused() -> None:
    X = table(20, 5, 0.5)
    X[3, 2] = np.inf
    with pytest.raises(SolveError, match="NaN or infinity"), np.errstate(invalid="ignore"):
        top_eigenpairs(array_rows(X), np.zeros(5), count=2, rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="count"):
        top_eigenpairs(array_rows(X), np.zeros(5), rng=np.random.default_rng(0))


def test_plan_grows_with_memory_and_refuses_too_little() -> None:
    small = plan_spectrum(10_000, 12_288, 41, 30 << 20)
    large = plan_spectrum(10_000, 12_288, 41)
    assert small.basis < large.basis
    with pytest.raises(InputError, match="bytes of workspace"):
        plan_spectrum(10_000, 12_288, 41, 1 << 20)
