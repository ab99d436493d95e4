"""What image metrics compare: features of images, by default offline ones that need no trained network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.errors import FileFormatError, InputError
from convexwgan.extras import require

Extractor = Callable[[Float64], Any]
"""Images (n, height, width, channels) in [0, 1] to features (n, d)."""

GRID = 4
"""Cells a side over which responses are averaged."""
DIRECTIONS = 8
"""Signed orientations of edges, 45° apart."""
SCALES = 3
"""Full, half and quarter resolution, as far as the images are at least 8 pixels wide and high."""


def as_images(images: Any, name: str) -> Float64:
    """Images as float64 (n, height, width, channels) in [0, 1].

    Args:
        images: (n, height, width) or (n, height, width, channels); uint8 in 0..255, or floats in [0, 1] up to the
            overshoot of a linear generator, which is clipped as any screen would.
        name: how messages call it.

    Raises:
        InputError: other shapes or types, no image, neither one nor three channels, values that are not finite or
            look like 0..255.
    """
    array = np.asarray(images)
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or 0 in array.shape or array.shape[-1] not in (1, 3):
        remedy = "as (n, height, width), (n, height, width, 1) or (n, height, width, 3)"
        raise InputError(name, array, "be images with one or three channels", remedy)
    if array.dtype == np.uint8:
        return array.astype(np.float64) / 255.0
    if array.dtype.kind != "f":
        raise InputError(name, array, "be uint8 or floating", "divide by the largest pixel value first")
    if not np.isfinite(array).all():
        raise InputError(name, array, "hold finite numbers only", "look for NaN in the generator's output")
    if float(np.abs(array).max()) > 20.0:
        raise InputError(name, array, "have pixels in [0, 1]", "divide by 255, or convert to uint8")
    return np.clip(array.astype(np.float64), 0.0, 1.0)


def edge_features(images: Float64) -> Float64:
    """Averaged intensities and rectified directional edges at three scales: the default, offline features.

    For each scale s and direction θ = 0°, 45°, …, 315°: the mean of (cos θ ∂ₓI + sin θ ∂ᵧI)₊ over each cell of a
    4 × 4 grid, I the grey image halved s times; and the mean of each channel over the cells of the grid.

    They are piecewise linear, not linear, in the pixels on purpose: a linear generator fits means and covariances of
    pixels by construction, so a Fréchet distance of linear features would ask it only what it was fitted to. They
    are no network trained on photographs: distances of them are never called FID and compare with nothing but
    themselves.

    Args:
        images: (n, height, width, channels) in [0, 1], at least 4 × 4 pixels.

    Returns:
        (n, 16·channels + 128·scales) float64.

    >>> edge_features(np.zeros((2, 8, 8, 1))).shape, edge_features(np.zeros((2, 32, 32, 3))).shape
    ((2, 144), (2, 432))
    """
    if min(images.shape[1:3]) < GRID:
        raise InputError("images", images, f"be at least {GRID} × {GRID} pixels", "pass extractor= for smaller images")
    parts = [_cells(images)]
    grey = images.mean(axis=-1)
    for scale in range(SCALES):
        if scale and min(grey.shape[1:]) < 16:
            break
        grey = _halved(grey) if scale else grey
        parts.append(_cells(_edges(grey)))
    return np.concatenate(parts, axis=1)


def _edges(grey: Float64) -> Float64:
    """(n, height, width, directions): rectified directional derivatives, in units of one grey step a pixel."""
    dy, dx = np.gradient(grey, axis=(1, 2))
    angles = 2.0 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    return np.stack([np.clip(np.cos(a) * dx + np.sin(a) * dy, 0.0, None) for a in angles], axis=-1)


def _cells(maps: Float64) -> Float64:
    """Means over the cells of the grid, (n, GRID²·channels); cells differ by a pixel where the side is no multiple."""
    n, height, width, channels = maps.shape
    rows, columns = (np.linspace(0, side, GRID + 1).astype(int) for side in (height, width))
    sums = np.add.reduceat(np.add.reduceat(maps, rows[:-1], axis=1), columns[:-1], axis=2)
    areas = np.diff(rows)[:, None] * np.diff(columns)[None, :]
    return np.asarray((sums / areas[:, :, None]).reshape(n, GRID * GRID * channels))


def _halved(grey: Float64) -> Float64:
    n, height, width = grey.shape
    even = grey[:, : height - height % 2, : width - width % 2]
    return np.asarray(even.reshape(n, height // 2, 2, width // 2, 2).mean(axis=(2, 4)))


class InceptionFeatures:
    """The 2048 pool features of the Inception network behind the standard FID, its weights read from a local file.

    Args:
        weights: path of torch-fidelity's ``pt_inception-2015-12-05-*.pth``; nothing is ever downloaded.
        batch: images a forward pass.

    Raises:
        InputError: no such file. FileFormatError: it holds other weights. MissingExtraError: torch-fidelity is missing.
    """

    name = "Inception v3 (2015-12-05), 2048 pool features"

    def __init__(self, weights: str | Path, batch: int = 32) -> None:
        path = Path(weights)
        if not path.is_file():
            remedy = "download pt_inception-2015-12-05-6726825d.pth of torch-fidelity once, and give its path"
            raise InputError("weights of InceptionFeatures", str(path), "be an existing file", remedy)
        require("torch_fidelity", "fid", "the standard FID")
        import torch
        from torchmetrics.image.fid import NoTrainInceptionV3

        self.batch = batch
        try:
            torch.load(path, map_location="cpu", weights_only=True)  # torch-fidelity itself would unpickle anything
            self.network = NoTrainInceptionV3("inception-v3-compat", ["2048"], str(path))
        except Exception as error:
            raise FileFormatError(f"{path} does not hold the weights of this Inception network: {error}") from error

    def __call__(self, images: Float64) -> Float64:
        """Features (n, 2048) of images (n, height, width, channels) in [0, 1]; greys are repeated to three channels."""
        import torch

        pixels = np.round(np.broadcast_to(images, (*images.shape[:3], 3)) * 255.0).astype(np.uint8)
        found = []
        with torch.no_grad():
            for start in range(0, len(pixels), self.batch):
                block = torch.from_numpy(np.ascontiguousarray(pixels[start : start + self.batch].transpose(0, 3, 1, 2)))
                found.append(self.network(block).double().numpy())
        return np.concatenate(found)


def features_of(images: Any, extractor: Extractor | None, name: str, block: int = 1000) -> Float64:
    """Features (n, d) in float64, block by block.

    Raises:
        InputError: the images are none, or the extractor does not return one finite row an image.
    """
    images = as_images(images, name)
    extract = edge_features if extractor is None else extractor
    parts = [
        np.asarray(extract(images[start : start + block]), dtype=np.float64) for start in range(0, len(images), block)
    ]
    rows = [len(images[start : start + block]) for start in range(0, len(images), block)]
    if any(
        part.ndim != 2 or len(part) != n or not np.isfinite(part).all() for part, n in zip(parts, rows, strict=True)
    ):
        remedy = "map images (n, height, width, channels) in [0, 1] to finite features (n, d)"
        raise InputError("extractor", extract, "return one finite row of features an image", remedy)
    return np.concatenate(parts)
