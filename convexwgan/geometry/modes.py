"""Which modes of a mixture a sample reaches, how much of it lies on them, and how evenly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from convexwgan.arrays import Float64, as_samples, to_numpy64
from convexwgan.errors import InputError

LEAST_SHARE = 0.1
"""A mode counts as covered from this share of its fair number n/k of high-quality samples on."""

BLOCK = 1 << 22
"""Distances held at a time."""


@dataclass(frozen=True)
class ModeCoverage:
    """Where n samples lie among k modes.

    Attributes:
        near: (k,) samples whose nearest mode this is; they sum to n.
        good: (k,) those of them within the radius: the high-quality samples.
        least: the share of n/k that covers a mode.
    """

    near: npt.NDArray[np.int64]
    good: npt.NDArray[np.int64]
    least: float = LEAST_SHARE

    @property
    def modes(self) -> int:
        """k."""
        return len(self.near)

    @property
    def covered(self) -> int:
        """Modes with at least max(1, least·n/k) high-quality samples: a stray sample does not cover a mode."""
        return int((self.good >= max(1.0, self.least * self.near.sum() / self.modes)).sum())

    @property
    def reached(self) -> int:
        """Modes with at least one high-quality sample: the laxer count of the literature."""
        return int((self.good > 0).sum())

    @property
    def quality(self) -> float:
        """The share of high-quality samples."""
        return float(self.good.sum() / self.near.sum())

    @property
    def divergence(self) -> float:
        """KL(q ‖ uniform) = Σ q_j log(k q_j) of the mode histogram q: 0 when even, log k when on one mode."""
        q = self.near[self.near > 0] / self.near.sum()
        return max(0.0, float(np.sum(q * np.log(self.modes * q))))


def mode_coverage(G: Any, modes: Any, radius: float, least: float = LEAST_SHARE) -> ModeCoverage:
    """Each sample is given to its nearest mode, and is of high quality within ``radius`` of it.

    Args:
        G: samples, (n, d).
        modes: centres, (k, d). Of equally near modes the first is taken.
        radius: > 0; three standard deviations of a mode, by habit.
        least: share in (0, 1] of n/k that covers a mode.

    Raises:
        InputError: other columns, or a radius or share out of range.

    >>> found = mode_coverage([[0.0], [0.1], [2.0], [5.0]], [[0.0], [5.0], [9.0]], radius=0.5)
    >>> found.covered, found.quality, found.near.tolist(), found.good.tolist()
    (2, 0.75, [3, 1, 0], [2, 1, 0])
    """
    G, modes = to_numpy64(as_samples(G, "G")), to_numpy64(as_samples(modes, "modes"))
    if G.shape[1] != modes.shape[1]:
        raise InputError("modes", modes, f"have {G.shape[1]} columns, as G has", "give one centre a row")
    if not radius > 0 or not math.isfinite(radius):
        raise InputError("radius", radius, "be a finite number > 0", "three standard deviations of a mode, say")
    if not 0 < least <= 1:
        raise InputError("least", least, "be in (0, 1]", "it is the share of n/k that covers a mode")
    nearest, distance = _nearest(G, modes)
    good = np.bincount(nearest[distance <= radius], minlength=len(modes))
    return ModeCoverage(np.bincount(nearest, minlength=len(modes)), good, least)


def _nearest(G: Float64, modes: Float64) -> tuple[npt.NDArray[np.int64], Float64]:
    """argmin_j ‖g − c_j‖ and the distance, in blocks of rows."""
    rows = max(1, BLOCK // modes.size)
    index, distance = [], []
    for start in range(0, len(G), rows):
        gaps = np.linalg.norm(G[start : start + rows, None, :] - modes[None], axis=2)
        index.append(gaps.argmin(axis=1))
        distance.append(gaps.min(axis=1))
    return np.concatenate(index), np.concatenate(distance)
