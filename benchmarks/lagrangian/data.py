"""The data of the mode experiments, and the judge of each: which modes, within which radius, how near to the data.

ring     8 Gaussians on a circle of radius 2, standard deviation 0.02
grid     25 Gaussians at {−4, −2, 0, 2, 4}², standard deviation 0.05
digits   scikit-learn's 1,797 digits, 8 × 8
fashion  Fashion-MNIST in its IDX files, averaged to 14 × 14, 10,000 training images and 10,000 fresh ones
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convexwgan.geometry.modes import mode_coverage

Array = np.ndarray
RADIUS = 3.0
"""Standard deviations of a mode within which a sample is of high quality."""


@dataclass(frozen=True)
class Task:
    """Data, how samples are judged, and fresh data for the Fréchet distance.

    Attributes:
        X: (n, d) training data. fresh: (m, d) data that training does not see.
        judge: samples → {"covered", "reached", "quality", "kl"}.
        modes, radius: centres for reports, where they are known.
        picture: samples → (n, 8·8) or other images, or None for points of the plane.
    """

    name: str
    X: Array
    fresh: Array
    judge: Callable[[Array], dict[str, float]]
    modes: Array | None = None
    radius: float | None = None
    picture: Callable[[Array], Array] | None = None


def ring(seed: int, n: int = 5000) -> Task:
    """8 Gaussians on a circle."""
    angle = 2 * np.pi * np.arange(8) / 8
    return mixture("ring", 2.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1), 0.02, seed, n)


def grid(seed: int, n: int = 10000) -> Task:
    """25 Gaussians on a square grid."""
    side = np.arange(-4.0, 5.0, 2.0)
    return mixture("grid", np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2), 0.05, seed, n)


def mixture(name: str, centres: Array, deviation: float, seed: int, n: int) -> Task:
    """Equal weights, isotropic Gaussians of this standard deviation."""
    rng = np.random.default_rng([seed, 1])

    def draw(m: int) -> Array:
        return centres[rng.integers(len(centres), size=m)] + deviation * rng.standard_normal((m, 2))

    def judge(G: Array) -> dict[str, float]:
        found = mode_coverage(G, centres, RADIUS * deviation)
        numbers = {"covered": found.covered, "reached": found.reached, "quality": found.quality}
        return {**numbers, "kl": found.divergence}

    return Task(name, draw(n), draw(n), judge, centres, RADIUS * deviation)


def digits(seed: int) -> Task:
    """scikit-learn's digits in [0, 1]; 1,400 to train on, 397 fresh."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    rows = np.random.default_rng([seed, 3]).permutation(len(bunch.data))
    return labelled("digits", bunch.data[rows] / 16.0, bunch.target[rows], 1400, 8)


def fashion(seed: int, folder: Path, n: int = 10000) -> Task:
    """Fashion-MNIST in [0, 1], means of 2 × 2 pixels; n images to train on, n fresh ones, of the 60,000."""
    images, labels = read_idx(folder / "train-images-idx3-ubyte"), read_idx(folder / "train-labels-idx1-ubyte")
    rows = np.random.default_rng([seed, 2]).permutation(len(images))[: 2 * n]
    small = images[rows].reshape(len(rows), 14, 2, 14, 2).mean(axis=(2, 4)).reshape(len(rows), -1) / 255.0
    return labelled("fashion", small, labels[rows], n, 14)


def read_idx(path: Path) -> Array:
    """An IDX file of unsigned bytes, gzipped or not."""
    packed = path.with_name(path.name + ".gz")
    raw = gzip.decompress(packed.read_bytes()) if packed.is_file() else path.read_bytes()
    axes = raw[3]
    shape = np.frombuffer(raw, ">u4", axes, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)


def labelled(name: str, X: Array, y: Array, n: int, side: int) -> Task:
    """A class is a mode, told by a support vector machine fitted on the first n images; the others are fresh.

    A sample is of high quality when it lies as near to a training image as 95 % of the fresh images do.
    """
    from sklearn.decomposition import PCA
    from sklearn.neighbors import NearestNeighbors
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import SVC

    train, fresh = X[:n], X[n:]
    classifier = make_pipeline(PCA(50, random_state=0), SVC(C=10.0)).fit(train, y[:n])
    accuracy = float(classifier.score(fresh[:2500], y[n : n + 2500]))
    neighbours = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(train)
    radius = np.quantile(neighbours.kneighbors(fresh[:2500])[0], 0.95)
    share = np.bincount(y[:n], minlength=10) / n

    def judge(G: Array) -> dict[str, float]:
        near = neighbours.kneighbors(G)[0][:, 0] <= radius
        kind = classifier.predict(G)
        good, q = np.bincount(kind[near], minlength=10), np.bincount(kind, minlength=10) / len(G)
        covered = int((good >= np.maximum(1.0, 0.1 * share * len(G))).sum())
        kl = float(np.sum(q[q > 0] * np.log(q[q > 0] / share[q > 0])))
        found = {"covered": covered, "reached": int((good > 0).sum()), "quality": float(near.mean()), "kl": kl}
        return {**found, "classifier": accuracy}

    return Task(name, train, fresh, judge, picture=lambda G: G.reshape(-1, side, side))
