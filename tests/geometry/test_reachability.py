"""Reachable outputs: the structure of the rows against the span of sampled features."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan.errors import InputError, MemoryLimitError
from convexwgan.geometry import reachability as module
from convexwgan.geometry.parallel import parallel_classes
from convexwgan.geometry.reachability import (
    reachability,
    reachable_basis,
    reachable_outputs,
    reachable_rank,
)

degenerate = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def degenerate_noise(rng: np.random.Generator) -> np.ndarray:
    """Small integers times a few lengths: zero, repeated, parallel and opposite rows, any rank."""
    n, d = rng.integers(1, 10), rng.integers(1, 5)
    return rng.integers(-1, 2, size=(n, d)) * rng.choice([0.5, 1.0, 3.0], size=(n, 1))


def sampled_features(Z: np.ndarray, rng: np.random.Generator, samples: int = 400) -> np.ndarray:
    return np.maximum(Z @ rng.standard_normal((Z.shape[1], samples)), 0.0)


def span_projector(features: np.ndarray) -> np.ndarray:
    U, s, _ = np.linalg.svd(features)
    U = U[:, : int((s > 1e-9 * max(s[0], 1.0)).sum())]
    return U @ U.T


@settings(max_examples=30, deadline=None)
@given(degenerate)
def test_rank_and_projection_are_those_of_the_span_of_sampled_features(rng: np.random.Generator) -> None:
    Z = degenerate_noise(rng)
    P = span_projector(sampled_features(Z, rng))
    space = reachable_outputs(Z)
    assert space.rank == reachable_rank(Z) == round(np.trace(P))
    Y = rng.standard_normal((len(Z), 3))
    np.testing.assert_allclose(space.project(Y), P @ Y, atol=1e-10)
    assert space.rho == pytest.approx(P.sum(), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(degenerate)
def test_basis_is_orthonormal_and_spans_the_features(rng: np.random.Generator) -> None:
    Z = degenerate_noise(rng)
    P, B = span_projector(sampled_features(Z, rng)), reachable_basis(Z)
    if B is None:
        np.testing.assert_allclose(P, np.eye(len(Z)), atol=1e-10)
        return
    np.testing.assert_allclose(B.T @ B, np.eye(B.shape[1]), atol=1e-12)
    np.testing.assert_allclose(B @ B.T, P, atol=1e-10)


@settings(max_examples=20, deadline=None)
@given(degenerate)
def test_output_of_every_network_is_reachable_and_the_witness_annihilates_every_feature(
    rng: np.random.Generator,
) -> None:
    Z = degenerate_noise(rng)
    features = sampled_features(Z, rng)
    assert reachability(Z, features[:, :5] @ rng.standard_normal((5, 2))).is_reachable
    G = rng.standard_normal((len(Z), 2))
    found = reachability(Z, G)
    np.testing.assert_allclose(found.nearest + found.witness, G, atol=1e-12)
    assert np.abs(found.witness.T @ features).max() <= 1e-10 * max(np.abs(features).max(), 1.0)
    assert np.sum(found.witness * G) == pytest.approx(np.sum(found.witness**2), abs=1e-10)
    assert found.is_reachable == (found.residual <= 1e-9)


def test_rows_in_general_position_reach_every_target(rng: np.random.Generator) -> None:
    Z = rng.standard_normal((40, 3))
    found = reachability(Z, rng.standard_normal((40, 2)))
    assert found.is_reachable
    assert found.residual == 0.0
    assert "every target is reachable" in found.reason
    assert reachable_basis(Z) is None


def test_positive_multiples_with_targets_out_of_proportion_are_named(rng: np.random.Generator) -> None:
    Z = rng.standard_normal((6, 3))
    Z[4] = 2.5 * Z[1]
    G = rng.standard_normal((6, 2))
    found = reachability(Z, G)
    assert not found.is_reachable
    assert found.reason.startswith("rows 1 and 4 of Z are positive multiples")
    G[4] = 2.5 * G[1]
    assert reachability(Z, G).is_reachable


def test_zero_row_needs_a_zero_target(rng: np.random.Generator) -> None:
    Z, G = rng.standard_normal((5, 2)), rng.standard_normal((5, 2))
    Z[3] = 0.0
    assert reachability(Z, G).reason == "row 3 of Z is zero, but its target is not"
    G[3] = 0.0
    assert reachability(Z, G).is_reachable


def test_differences_over_opposite_rows_must_be_linear_in_the_rows(rng: np.random.Generator) -> None:
    half, W = rng.standard_normal((4, 2)), rng.standard_normal((2, 2))
    lengths = np.linalg.norm(half, axis=1, keepdims=True)
    Z, per_length = np.concatenate([half, -3.0 * half]), rng.standard_normal((4, 2))
    opposite = per_length - (half / lengths) @ W
    G = np.concatenate([lengths * per_length, 3.0 * lengths * opposite])
    assert reachable_rank(Z) == 8 - (4 - 2)
    assert reachability(Z, G).is_reachable
    G[5] += 1.0
    found = reachability(Z, G)
    assert not found.is_reachable
    assert "opposite" in found.reason


def test_at_most_rank_many_opposite_pairs_restrict_nothing(rng: np.random.Generator) -> None:
    half = rng.standard_normal((2, 2))
    assert reachable_outputs(np.concatenate([half, -half])).is_everything


def test_ill_conditioned_but_distinct_rows_are_not_merged(rng: np.random.Generator) -> None:
    Z = rng.standard_normal((30, 2)) * [1.0, 1e-9]
    assert reachable_outputs(Z).is_everything


def test_projection_of_sixty_thousand_rows_forms_no_square_matrix(rng: np.random.Generator) -> None:
    half = rng.standard_normal((30_000, 4))
    Z = np.concatenate([half, -half])
    space = reachable_outputs(Z)
    assert space.rank == 60_000 - (30_000 - 4)
    Y = space.project(rng.standard_normal((60_000, 2)))
    np.testing.assert_allclose(space.project(Y), Y, atol=1e-9)
    with pytest.raises(MemoryLimitError, match="project"):
        reachable_basis(Z)
    assert reachable_basis(half) is None


def test_all_zero_noise_reaches_zero_only() -> None:
    Z = np.zeros((3, 2))
    assert reachable_rank(Z) == 0
    assert reachability(Z, np.zeros((3, 1))).is_reachable
    assert not reachability(Z, np.ones((3, 1))).is_reachable


def test_bad_input_is_refused_with_subject_and_remedy() -> None:
    Z = np.eye(2)
    with pytest.raises(InputError, match=r"G = .*must have 2 rows"):
        reachability(Z, np.ones((3, 1)))
    with pytest.raises(InputError, match=r"G = .*finite"):
        reachability(Z, np.array([[np.nan], [0.0]]))
    with pytest.raises(InputError, match=r"Z = .*finite"):
        reachability(np.array([[np.inf, 0.0], [0.0, 1.0]]), np.ones((2, 1)))
    with pytest.raises(InputError, match="tol = "):
        reachability(Z, np.ones((2, 1)), tol=-1.0)


def test_parallel_classes_agree_with_comparing_all_pairs(rng: np.random.Generator) -> None:
    base = rng.standard_normal((20, 5))
    Y = base[rng.integers(20, size=60)] * rng.choice([-1.0, 1.0], size=(60, 1))
    Y /= np.linalg.norm(Y, axis=1, keepdims=True)
    first, orientation = parallel_classes(Y, 1e-11)
    close = np.abs(Y @ Y.T) > 1.0 - 1e-9
    assert first.tolist() == close.argmax(axis=1).tolist()
    np.testing.assert_allclose(orientation[:, None] * Y[first], Y, atol=1e-12)


def test_limit_on_the_basis_is_stated_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_BASIS", 8)
    with pytest.raises(MemoryLimitError, match="bytes"):
        reachable_basis(np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]))
