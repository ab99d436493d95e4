"""The randomised certificate of a stage bounds the true distance, whatever is claimed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan.certificates.certificate import LARGEST_FAILURE_PROBABILITY
from convexwgan.certificates.randomised import randomised_distance
from convexwgan.certificates.stage import StageClaim, stage_certificate
from convexwgan.geometry.rows import array_rows

Matrix = np.ndarray[Any, np.dtype[np.float64]]
N, D, K = 260, 1100, 10


@pytest.fixture(scope="module")
def case() -> tuple[Matrix, Matrix, StageClaim, Matrix]:
    """Rows with a decaying spectrum and an offset; an exact claim with a basis of 60 eigenvectors."""
    rng = np.random.default_rng(0)
    left, right = np.linalg.qr(rng.standard_normal((N, 200)))[0], np.linalg.qr(rng.standard_normal((D, 200)))[0]
    X = (left * (10.0 / np.arange(1, 201))) @ right.T + 0.5
    mean = X.mean(axis=0)
    M = (X - mean).T @ (X - mean)
    _, s, Vt = np.linalg.svd(X - mean, full_matrices=False)
    V, beta = Vt.T, float(s[K] ** 2)
    L = np.linalg.qr(rng.standard_normal((N, K)))[0]
    R = np.sqrt(s[:K] ** 2 - beta)[:, None] * V[:, :K].T
    Q = V[:, :60]
    return X, mean, StageClaim(beta * (1 + 1e-9), R, [L], Q, M @ Q), M


def certificate(case: Any, **changes: Any) -> Any:
    X, mean, claim, _ = case
    return stage_certificate(array_rows(X), mean, replace(claim, **changes), 1e-5, np.random.default_rng(1))


def test_optimal_stage_is_certified_in_randomised_scope_with_both_bounds(case: Any) -> None:
    found = certificate(case)
    assert (found.status.name, found.scope) == ("CERTIFIED", "randomised")
    assert 0.0 < found.failure_probability <= LARGEST_FAILURE_PROBABILITY
    values = np.linalg.svd(case[0] - case[1], compute_uv=False) ** 2
    exact = 0.5 * np.sum(np.maximum(values - case[2].beta, 0.0))
    assert found.lower <= exact * (1 + 1e-12)
    assert found.lower == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("lie", ["beta", "factor", "missing component", "codes", "product", "rows", "basis"])
def test_no_lie_is_certified(lie: str, case: Any) -> None:
    _, _, claim, M = case
    rng = np.random.default_rng(2)
    changes = {
        "beta": {"beta": 0.99 * claim.beta},
        "factor": {"factor": 1.01 * claim.factor},
        "missing component": {"factor": claim.factor * (np.arange(K) != 3)[:, None]},
        "codes": {"codes": [0.99 * claim.codes[0]]},
        "product": {"product": 0.5 * claim.product},
        "rows": {"codes": [claim.codes[0][:-1]]},
        # A basis that hides a large eigenvector of M − S must not hide it from the judge.
        "basis": {"basis": (Q := np.linalg.qr(rng.standard_normal((D, 40)))[0]), "product": M @ Q},
    }[lie]
    assert certificate(case, **changes).status.name == "UNVERIFIED"


def test_basis_without_a_leading_direction_still_gives_a_valid_bound(case: Any) -> None:
    X, mean, claim, M = case
    keep = np.arange(60) != 0
    R, Q = claim.factor[1:], claim.basis[:, keep]
    truth = float(np.abs(np.linalg.eigvalsh(M - R.T @ R)).max())
    bound = randomised_distance(array_rows(X), mean, R, np.eye(K - 1), Q, M @ Q, claim.beta, np.random.default_rng(3))
    assert truth <= bound.distance


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), noise=st.sampled_from([0.0, 1e-6, 1e-2, 1.0]))
def test_bound_is_never_below_the_distance(seed: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    n, d, width = int(rng.integers(2, 60)), int(rng.integers(20, 60)), int(rng.integers(1, 10))
    X = rng.standard_normal((n, d)) * 0.7 ** np.arange(d) + rng.standard_normal()
    mean = X.mean(axis=0)
    M = (X - mean).T @ (X - mean)
    Q = np.linalg.qr(np.linalg.eigh(M)[1][:, ::-1][:, :width] + noise * rng.standard_normal((d, width)))[0]
    R = rng.standard_normal((2, width)) @ Q.T
    P = M @ Q + noise * 1e-3 * rng.standard_normal((d, width))
    found = randomised_distance(array_rows(X), mean, R, np.eye(2), Q, P, 1.0, np.random.default_rng(seed + 1))
    truth = float(np.abs(np.linalg.eigvalsh(M - R.T @ R)).max())
    assert truth <= found.distance * (1 + 1e-12)
    assert np.all(found.leading <= np.linalg.eigvalsh(M)[::-1][: len(found.leading)] + 1e-12)


def test_small_dimension_is_judged_exhaustively(case: Any) -> None:
    X = case[0][:, :30]
    mean = X.mean(axis=0)
    M = (X - mean).T @ (X - mean)
    claim = StageClaim(float(np.linalg.norm(M, 2)) * 1.01, np.zeros((0, 30)), [np.zeros((N, 0))], np.eye(30), M)
    found = stage_certificate(array_rows(X), mean, claim, 1e-6)
    assert (found.scope, found.upper, found.violation) == ("exhaustive", 0.0, 0.0)


def test_skip_is_refused_when_means_differ(case: Any) -> None:
    claim = case[2]
    tilted = claim.codes[0] + 0.02
    found = certificate(case, codes=[np.linalg.qr(tilted)[0]], mean_matched=True)
    assert [c.name for c in found.failed_checks] == ["means match"]
