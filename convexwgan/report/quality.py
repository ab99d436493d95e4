"""Quality of generated images: Fréchet distance, precision and recall, and whether training images were memorised."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from convexwgan.arrays import Float64, as_samples, to_numpy64
from convexwgan.errors import InputError
from convexwgan.extras import require
from convexwgan.report.image_features import Extractor, edge_features, features_of
from convexwgan.spec.validation import count

CLOSE = 0.01
"""A copy lies closer to a training sample than all but this share of the training samples lie to each other."""


@dataclass(frozen=True)
class Memorization:
    """How close generated samples come to the training samples.

    Attributes:
        share: of the generated samples closer to a training sample than 99 % of the training samples are to their own
            nearest neighbour. Fresh draws of the data's distribution give about 0.01, copies 1.
        median_ratio: median distance of a generated sample to the nearest training sample, over the median distance
            of a training sample to its nearest other one. Fresh draws give about 1, copies 0.
        nearest: (n_f,) which training sample is nearest.
        distance: (n_f,) how far it is.
    """

    share: float
    median_ratio: float
    nearest: np.ndarray[Any, np.dtype[np.int64]]
    distance: Float64


@dataclass(frozen=True)
class ImageQuality:
    """All measures of one set of generated images, with the sample counts that they depend on.

    Attributes:
        frechet: Fréchet distance of the features by torchmetrics; it grows as samples get fewer, so compare at equal
            counts only.
        frechet_witness: the same by ``gaussian_frechet``.
        precision, recall: shares in [0, 1] at k nearest neighbours.
        memorization: distances in the pixels to the real images given.
        n_real, n_fake, k: what they were computed from.
        features: which features.
    """

    frechet: float
    frechet_witness: float
    precision: float
    recall: float
    memorization: Memorization
    n_real: int
    n_fake: int
    k: int
    features: str

    def as_dict(self) -> dict[str, Any]:
        """The numbers, for JSON."""
        return {
            "frechet": self.frechet,
            "frechet_witness": self.frechet_witness,
            "precision": self.precision,
            "recall": self.recall,
            "memorized_share": self.memorization.share,
            "nearest_ratio": self.memorization.median_ratio,
            "n_real": self.n_real,
            "n_fake": self.n_fake,
            "k": self.k,
            "features": self.features,
        }


def image_quality(real: Any, fake: Any, extractor: Extractor | None = None, k: int = 3) -> ImageQuality:
    """Fréchet distance, precision, recall and memorisation of generated images against real ones.

    Args:
        real: (n_r, height, width[, channels]), uint8 or in [0, 1].
        fake: the same kind of images, clipped to [0, 1].
        extractor: images (n, height, width, channels) in [0, 1] to features (n, d); None is ``edge_features``, which
            needs no trained network and whose Fréchet distance is no FID. ``InceptionFeatures(path)`` gives the FID.
        k: neighbours of precision and recall.

    Returns:
        ImageQuality.

    Raises:
        InputError: these are no images, the shapes differ, or there are too few of them.

    >>> images = np.random.default_rng(0).random((400, 8, 8))
    >>> same = image_quality(images, images)
    >>> abs(round(same.frechet, 6)), same.precision, same.recall, same.memorization.share
    (0.0, 1.0, 1.0, 1.0)
    """
    X, G = features_of(real, extractor, "real"), features_of(fake, extractor, "fake")
    precision, recall = precision_recall(X, G, k)
    pixels = [_pixel_rows(images, name) for images, name in ((real, "real"), (fake, "fake"))]
    return ImageQuality(
        frechet=frechet_distance(X, G),
        frechet_witness=gaussian_frechet(X, G),
        precision=precision,
        recall=recall,
        memorization=memorization(*pixels),
        n_real=len(X),
        n_fake=len(G),
        k=k,
        features=_name(extractor),
    )


def frechet_distance(X: Any, G: Any) -> float:
    """Squared 2-Wasserstein distance of the Gaussians with the moments of X and G, through torchmetrics.

    ‖x̄ − ḡ‖² + tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½), covariances with n − 1. With Inception features this is the FID; on other
    features it is a Fréchet distance and no more. ``gaussian_frechet`` is the same quantity by our own formula.

    Args:
        X: features of real images, (n_r, d).
        G: features of generated images, (n, d).

    Raises:
        InputError: fewer than two rows, or different columns.
        MissingExtraError: torchmetrics is not installed.
    """
    X, G = _feature_pair(X, G)
    require("torchmetrics", "metrics", "the Fréchet distance")
    import torch
    from torchmetrics.image.fid import FrechetInceptionDistance

    class Given(torch.nn.Module):
        """The features themselves: they were extracted before."""

        num_features = int(X.shape[1])

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return rows

    # Far from the origin the sums of squares behind torchmetrics' covariances would cancel: both are moved alike.
    centre = X.mean(axis=0)
    metric = FrechetInceptionDistance(feature=Given())
    metric.update(torch.from_numpy(X - centre), real=True)
    metric.update(torch.from_numpy(G - centre), real=False)
    return max(0.0, float(metric.compute()))  # rounding can leave −1e-6 of two equal sets


def gaussian_frechet(X: Any, G: Any) -> float:
    """The same distance from eigenvalues of the symmetric Σ₁^½Σ₂Σ₁^½, clipped at 0.

    torchmetrics takes those of the non-symmetric product Σ₁Σ₂, which rounding can make complex when there are fewer
    samples than features. This one is the witness of the other.

    >>> gaussian_frechet([[-1.0], [1.0]], [[2.0], [4.0]])
    9.0
    """
    X, G = _feature_pair(X, G)
    mean = float(np.sum((X.mean(axis=0) - G.mean(axis=0)) ** 2))
    S1, S2 = np.atleast_2d(np.cov(X.T)), np.atleast_2d(np.cov(G.T))
    values, Q = np.linalg.eigh(S1)
    root = (Q * np.sqrt(np.clip(values, 0.0, None))) @ Q.T
    inner = np.linalg.eigvalsh(root @ S2 @ root)
    spread = float(np.trace(S1) + np.trace(S2) - 2.0 * np.sqrt(np.clip(inner, 0.0, None)).sum())
    return max(0.0, mean + spread)


def precision_recall(X: Any, G: Any, k: int = 3) -> tuple[float, float]:
    """Improved precision and recall (Kynkäänniemi et al., NeurIPS 2019).

    precision: share of generated samples within the k-th neighbour distance of some real sample, that distance taken
    among the real samples; recall: the same with the roles exchanged.

    Args:
        X: features of real images, (n_r, d).
        G: features of generated images, (n, d).
        k: neighbours, fewer than the samples of either set.

    Raises:
        InputError: too few rows for k, or different columns.

    >>> X = [[0.0], [1.0], [2.0], [3.0]]
    >>> precision_recall(X, [[0.5], [0.6], [9.0], [10.0]], k=1)
    (0.5, 0.0)
    """
    X, G = _feature_pair(X, G)
    k = count("k", k, "it is the number of neighbours")
    for name, rows in (("X", X), ("G", G)):
        if len(rows) <= k:
            raise InputError(name, rows, f"have more than k = {k} rows", "give more samples or a smaller k")
    return _covered(G, X, _radii(X, k)), _covered(X, G, _radii(G, k))


def memorization(X: Any, G: Any) -> Memorization:
    """Whether generated samples are training samples in disguise: nearest-neighbour distances against the data's own.

    Args:
        X: training samples, (n_r, d), n_r ≥ 2.
        G: generated samples, (n, d).

    Raises:
        InputError: too few rows, different columns, or real samples that are mostly copies of each other.

    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> memorization(X, X[:50]).share, memorization(X, X[:50]).median_ratio
    (1.0, 0.0)
    """
    X, G = _feature_pair(X, G)
    own = _radii(X, 1)
    typical = float(np.median(own))
    if typical == 0.0:
        remedy = "more than half of them are copies of another one; drop duplicates first"
        raise InputError("X", X, "be distinct samples", remedy)
    nearest, distance = _nearest(G, X)
    closer = distance <= np.quantile(own, CLOSE)
    return Memorization(float(closer.mean()), float(np.median(distance)) / typical, nearest, distance)


# ---- distances -----------------------------------------------------------------------------------------------


def _distances(A: Float64, B: Float64) -> Float64:
    """‖a − b‖ for all pairs; zero where the expansion of the square cannot tell it from zero."""
    a, b = np.sum(A * A, axis=1), np.sum(B * B, axis=1)
    squares = a[:, None] + b[None, :] - 2.0 * (A @ B.T)
    rounding = 8.0 * np.finfo(float).eps * math.sqrt(A.shape[1]) * (a[:, None] + b[None, :])
    return np.asarray(np.sqrt(np.where(squares <= rounding, 0.0, squares)))


def _blocks(A: Float64, B: Float64) -> list[slice]:
    rows = max(1, int(2e7) // max(len(B), 1))
    return [slice(start, start + rows) for start in range(0, len(A), rows)]


def _radii(X: Float64, k: int) -> Float64:
    """Distance of each row to its k-th nearest other row."""
    found = []
    for part in _blocks(X, X):
        D = _distances(X[part], X)
        D[np.arange(len(D)), np.arange(part.start, part.start + len(D))] = -1.0  # itself comes first, whatever ties
        found.append(np.partition(D, k, axis=1)[:, k])
    return np.concatenate(found)


def _covered(A: Float64, B: Float64, radii: Float64) -> float:
    """Share of rows of A inside some ball of radius radii_j around row j of B."""
    inside = [np.any(_distances(A[part], B) <= radii[None, :], axis=1) for part in _blocks(A, B)]
    return float(np.concatenate(inside).mean())


def _nearest(A: Float64, B: Float64) -> tuple[np.ndarray[Any, np.dtype[np.int64]], Float64]:
    indices, lengths = [], []
    for part in _blocks(A, B):
        D = _distances(A[part], B)
        best = np.argmin(D, axis=1)
        indices.append(best)
        lengths.append(D[np.arange(len(D)), best])
    return np.concatenate(indices).astype(np.int64), np.concatenate(lengths)


def _feature_pair(X: Any, G: Any) -> tuple[Float64, Float64]:
    real, fake = to_numpy64(as_samples(X, "X")), to_numpy64(as_samples(G, "G"))
    for name, rows in (("X", real), ("G", fake)):
        if len(rows) < 2:
            raise InputError(name, rows, "have at least two rows", "one sample has no covariance")
    if real.shape[1] != fake.shape[1]:
        raise InputError("G", fake, f"have {real.shape[1]} columns, as X has", "extract the same features of both")
    return real, fake


def _pixel_rows(images: Any, name: str) -> Float64:
    from convexwgan.report.image_features import as_images

    array = as_images(images, name)
    return array.reshape(len(array), -1)


def _name(extractor: Extractor | None) -> str:
    given = edge_features if extractor is None else extractor
    return str(getattr(given, "name", getattr(given, "__name__", type(given).__name__)))
