"""Mode coverage against counts by hand and by brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convexwgan.errors import InputError
from convexwgan.geometry import modes as module
from convexwgan.geometry.modes import mode_coverage

SQUARE = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0]])


def test_even_sample_covers_all_modes_with_divergence_zero() -> None:
    found = mode_coverage(np.repeat(SQUARE, 5, axis=0), SQUARE, radius=0.1)
    assert (found.covered, found.reached, found.quality, found.divergence) == (4, 4, 1.0, 0.0)


def test_collapsed_sample_covers_one_mode_with_divergence_log_k() -> None:
    found = mode_coverage(np.zeros((50, 2)), SQUARE, radius=0.1)
    assert (found.covered, found.quality) == (1, 1.0)
    assert found.divergence == pytest.approx(np.log(4))


def test_stray_sample_reaches_a_mode_without_covering_it() -> None:
    G = np.concatenate([np.zeros((99, 2)), [[4.0, 4.0]]])
    found = mode_coverage(G, SQUARE, radius=0.1)
    assert (found.covered, found.reached) == (1, 2)
    assert mode_coverage(G, SQUARE, radius=0.1, least=0.04).covered == 2


def test_radius_is_closed_and_ties_go_to_the_first_mode() -> None:
    found = mode_coverage([[2.0, 0.0]], SQUARE, radius=2.0)
    assert found.near.tolist() == found.good.tolist() == [1, 0, 0, 0]


def test_blocks_give_the_same_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    G = np.random.default_rng(0).normal(2.0, 2.0, size=(301, 2))
    whole = mode_coverage(G, SQUARE, radius=1.0)
    monkeypatch.setattr(module, "BLOCK", 64)
    split = mode_coverage(G, SQUARE, radius=1.0)
    assert split.near.tolist() == whole.near.tolist()
    assert split.good.tolist() == whole.good.tolist()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"G": [[np.nan, 0.0]]}, "G = .* must hold finite numbers only"),
        ({"modes": [[0.0]]}, "modes = .* must have 2 columns"),
        ({"radius": 0.0}, "radius = 0.0 must be a finite number > 0"),
        ({"radius": np.nan}, "radius = nan must"),
        ({"least": 0.0}, r"least = 0.0 must be in \(0, 1\]"),
    ],
)
def test_bad_input_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        mode_coverage(**{"G": SQUARE, "modes": SQUARE, "radius": 1.0, **given})
