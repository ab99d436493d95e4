"""The data of the mode experiments, and the judge of each: which modes, within which radius, how near to the data.

ring     8 Gaussians on a circle of radius 2, standard deviation 0.02
grid     25 Gaussians at {−4, −2, 0, 2, 4}², standard deviation 0.05
digits   scikit-learn's 1,797 digits, 8 × 8
fashion  Fashion-MNIST in its IDX files, 10,000 training images on their first 50 principal components
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
    return labelled("digits", bunch.data / 16.0, bunch.target, 1400, seed, lambda G: G.reshape(-1, 8, 8))


def fashion(seed: int, folder: Path, n: int = 10000, components: int = 50) -> Task:
    """Fashion-MNIST: n images to train on, n fresh ones, as principal components."""
    from sklearn.decomposition import PCA

    images, labels = read_idx(folder / "train-images-idx3-ubyte"), read_idx(folder / "train-labels-idx1-ubyte")
    rows = np.random.default_rng([seed, 2]).permutation(len(images))[: 2 * n]
    flat = images[rows].reshape(len(rows), -1) / 255.0
    pca = PCA(components, random_state=0).fit(flat[:n])

    def picture(G: Array) -> Array:
        return pca.inverse_transform(G).reshape(-1, 28, 28)

    return labelled("fashion", pca.transform(flat), labels[rows], n, None, picture)


def read_idx(path: Path) -> Array:
    """An IDX file of unsigned bytes, gzipped or not."""
    packed = path.with_name(path.name + ".gz")
    raw = gzip.decompress(packed.read_bytes()) if packed.is_file() else path.read_bytes()
    axes = raw[3]
    shape = np.frombuffer(raw, ">u4", axes, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)


def labelled(name: str, X: Array, y: Array, n: int, seed: int | None, picture: Callable[[Array], Array]) -> Task:
    """A class is a mode, told by a linear classifier fitted on the training part.

    A sample is of high quality when it lies as near to a training sample as 95 % of the fresh data do.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import NearestNeighbors

    rows = np.arange(len(X)) if seed is None else np.random.default_rng([seed, 3]).permutation(len(X))
    train, rest = rows[:n], rows[n:]
    scale = float(X[train].std())
    classifier = LogisticRegression(max_iter=300).fit(X[train] / scale, y[train])
    neighbours = NearestNeighbors(n_neighbors=1).fit(X[train])
    radius = np.quantile(neighbours.kneighbors(X[rest])[0], 0.95)
    share = np.bincount(y[train], minlength=10) / n

    def judge(G: Array) -> dict[str, float]:
        near = neighbours.kneighbors(G)[0][:, 0] <= radius
        kind = classifier.predict(G / scale)
        good, q = np.bincount(kind[near], minlength=10), np.bincount(kind, minlength=10) / len(G)
        covered = int((good >= np.maximum(1.0, 0.1 * share * len(G))).sum())
        kl = float(np.sum(q[q > 0] * np.log(q[q > 0] / share[q > 0])))
        return {"covered": covered, "reached": int((good > 0).sum()), "quality": float(near.mean()), "kl": kl}

    return Task(name, X[train], X[rest], judge, picture=picture)
