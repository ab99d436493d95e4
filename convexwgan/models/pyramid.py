"""The resolutions of a progressive fit: each level a table of flattened, average-pooled images, read in row blocks."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from convexwgan.arrays import Array, Float64, namespace
from convexwgan.errors import InputError
from convexwgan.geometry.rows import LocalRows, Rows
from convexwgan.models.dask_rows import DaskRows
from convexwgan.models.image_source import IMAGE_TYPES, ArraySource, DaskSource, ImageSource
from convexwgan.spec.validation import count

SMALLEST = 4
BLOCK_SHARE = 16
"""A block of rows takes at most this fraction of the memory budget: it is read, converted and cast to float64."""


@dataclass(frozen=True)
class ReadLevel:
    """Raw images (b, height, width, channels) → rows (b, d), pooled by ``factor``, in [0, 1], of ``dtype``.

    >>> ReadLevel(2, "float64")(np.array([[[[0], [255]], [[255], [0]]]], dtype=np.uint8)).tolist()
    [[0.5]]
    """

    factor: int
    dtype: str

    def __call__(self, images: Array) -> Array:
        if images.ndim == 3:
            images = images[..., None]
        xp = namespace(images)
        scale = 1.0 if xp.isdtype(images.dtype, "real floating") else 1.0 / 255.0
        pixels = xp.astype(images, getattr(xp, self.dtype), copy=False)
        pixels = average_pool(pixels, self.factor)
        rows = pixels.reshape(pixels.shape[0], -1)
        return rows if scale == 1.0 else rows * scale


def average_pool(images: Array, factor: int) -> Array:
    """Means over factor × factor pixels of (b, height, width, channels).

    >>> average_pool(np.arange(4.0).reshape(1, 2, 2, 1), 2).ravel().tolist()
    [1.5]
    """
    if factor == 1:
        return images
    b, h, w, c = images.shape
    rows = images.reshape(b, h // factor, factor, w * c)  # whole rows first: they are contiguous
    total = rows[:, :, 0]
    for row in range(1, factor):
        total = total + rows[:, :, row]
    columns = total.reshape(b, h // factor, w // factor, factor, c)
    total = columns[:, :, :, 0]
    for column in range(1, factor):
        total = total + columns[:, :, :, column]
    return total * (1.0 / factor**2)


def upsample(rows: Float64, shape: tuple[int, int, int], factor: int) -> Float64:
    """Nearest-neighbour upsampling of flattened images (b, h·w·c) by ``factor``; ‖up(x)‖ = factor·‖x‖.

    >>> upsample(np.array([[1.0, 2.0]]), (1, 2, 1), 2).tolist()
    [[1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]]
    """
    images = rows.reshape(len(rows), *shape)
    return images.repeat(factor, axis=1).repeat(factor, axis=2).reshape(len(rows), rows.shape[1] * factor**2)


@dataclass(frozen=True, eq=False)
class Level:
    """One resolution: the centred images X_i − 1μ_iᵀ as rows."""

    rows: Rows
    shape: tuple[int, int, int]
    mean: Float64
    text: str

    @property
    def dim(self) -> int:
        """d_i = height·width·channels."""
        return int(np.prod(self.shape))


def check_resolutions(given: Sequence[int] | None, size: int) -> tuple[int, ...]:
    """The sides of the levels, ascending, ending at ``size``; None halves the size down to 4 pixels.

    >>> check_resolutions(None, 28)
    (7, 14, 28)
    """
    if given is None:
        sides = [size]
        while sides[0] % 2 == 0 and sides[0] // 2 >= SMALLEST:
            sides.insert(0, sides[0] // 2)
        return tuple(sides)
    sides = [count("resolutions", side, "they are the sides of the images, in pixels") for side in given]
    divides = all(large % small == 0 and large > small for small, large in pairwise(sides))
    if not sides or sides[-1] != size or not divides:
        must = f"ascend, each dividing the next, and end at {size}, the side of the images"
        raise InputError("resolutions", tuple(given), must, "resize the images, or give fewer resolutions")
    return tuple(sides)


def available_memory() -> int:
    """Half of the memory that is free now, in bytes."""
    if not hasattr(os, "sysconf") or "SC_AVPHYS_PAGES" not in os.sysconf_names:
        return 1 << 31
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES") // 2


def build_levels(
    source: ImageSource, sides: tuple[int, ...], *, dtype: str, device: Any, budget: int
) -> tuple[list[Level], str]:
    """The levels, small ones held in memory as far as a quarter of the budget goes, and the fingerprint of the data.

    One pass over the images: sums, fingerprint, pooled copies. Images that are an array of ``dtype`` already are
    never copied; what is not held is pooled again from the source on every pass.

    Raises:
        InputError: images that hold NaN or infinity; a device for a source that is computed elsewhere.
    """
    n, size, _, channels = source.shape
    if isinstance(source, DaskSource):
        return _dask_levels(source, sides, dtype, device)
    itemsize = np.dtype(dtype).itemsize
    raw = size * size * channels * max(itemsize, 4)
    step = max(1, min(n, max(budget // BLOCK_SHARE, 1 << 16) // raw, max(1, (1 << 26) // raw)))
    held = _held(n, channels, sides, itemsize, budget // 4, source, dtype)
    stores = {side: np.empty((n, side * side * channels), dtype) for side in held}
    total, checksum = np.zeros(size * size * channels), np.zeros(size * size * channels, np.uint32)
    for start in range(0, n, step):
        stop = min(start + step, n)
        block = source.blocks(start, stop)
        total += _float_sum(block, source)
        checksum += _bit_sum(block)
        _pool_into(stores, block, start, size, dtype)
    mean = total / n
    levels = []
    for side in sides:
        read = _reader(stores.get(side), source, size // side, dtype)
        d = side * side * channels
        in_memory = side in stores or _is_in_place(source, side, size, dtype)
        is_numpy = side in stores or isinstance(getattr(source, "images", None), np.ndarray)
        step = _block_rows(n, d, size, side, channels, itemsize, budget)
        rows = LocalRows(read, (n, d), step, device, in_memory and is_numpy)
        pooled = average_pool(mean.reshape(1, size, size, channels), size // side).reshape(-1)
        text = "in memory" if in_memory else "streamed"
        levels.append(Level(rows, (side, side, channels), pooled, text))
    return levels, _fingerprint(source.shape, checksum)


def _pool_into(stores: dict[int, Any], block: Array, start: int, size: int, dtype: str) -> None:
    """The pooled copies of a block of images, each made from the next finer one."""
    if not stores:
        return
    sides = sorted(stores, reverse=True)
    pixels, before = ReadLevel(size // sides[0], dtype)(block), sides[0]
    for side in sides:
        images = pixels.reshape(block.shape[0], before, before, -1)
        pixels, before = average_pool(images, before // side).reshape(block.shape[0], -1), side
        stores[side][start : start + block.shape[0]] = _host(pixels)


def _held(
    n: int, channels: int, sides: tuple[int, ...], itemsize: int, room: int, source: ImageSource, dtype: str
) -> list[int]:
    """The sides whose pooled copies are kept: the smallest first, while there is room."""
    held = []
    for side in sides:
        needed = n * side * side * channels * itemsize
        if needed > room or _is_in_place(source, side, sides[-1], dtype):
            break
        held.append(side)
        room -= needed
    return held


def _is_in_place(source: ImageSource, side: int, size: int, dtype: str) -> bool:
    """Whether the source is itself this level, in memory, of this dtype."""
    is_array = isinstance(source, ArraySource) and getattr(source.images, "_mmap", None) is None
    return is_array and side == size and str(source.images.dtype).rpartition(".")[2] == dtype  # type: ignore[attr-defined]


def _block_rows(n: int, d: int, size: int, side: int, channels: int, itemsize: int, budget: int) -> int:
    """Rows whose raw pixels, pooled copy and float64 cast stay within the budget's share."""
    a_row = size * size * channels * max(4, itemsize) + d * (itemsize + 8)
    return max(1, min(n, min(budget // BLOCK_SHARE, 1 << 27) // a_row))


def _reader(store: np.ndarray[Any, Any] | None, source: ImageSource, factor: int, dtype: str) -> Any:
    if store is not None:
        return lambda start, stop: store[start:stop]
    read = ReadLevel(factor, dtype)
    return lambda start, stop: read(source.blocks(start, stop))


def _float_sum(block: Array, source: ImageSource) -> Float64:
    """Σ of the images of a block, flattened, in float64 and in [0, 1]; refuses NaN and strange shapes."""
    if tuple(block.shape[1:]) != tuple(source.shape[1:]):
        raise InputError("block of images", block, f"have images of shape {source.shape[1:]}", "check blocks()")
    xp = namespace(block)
    name = str(block.dtype).rpartition(".")[2]
    if name not in ("uint8", "float16", "float32", "float64"):
        raise InputError("dtype of images", name, f"be {IMAGE_TYPES}", "convert the images first")
    total = np.asarray(_host(xp.sum(block.reshape(block.shape[0], -1), axis=0, dtype=xp.float64)))
    if not np.all(np.isfinite(total)):
        raise InputError("images", block, "hold finite numbers only", "it has NaN or infinity; drop those images")
    return total / 255.0 if name == "uint8" else total


def _bit_sum(block: Array) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """Column sums of the bit patterns modulo 2³²: exact, so the same for every split into blocks."""
    flat = np.ascontiguousarray(_host(block)).reshape(block.shape[0], -1)
    words = flat.view("u4" if flat.dtype.itemsize >= 4 else f"u{flat.dtype.itemsize}")
    sums = np.add.reduce(words, axis=0, dtype=np.uint32)
    return np.asarray(sums.reshape(flat.shape[1], -1).sum(axis=1, dtype=np.uint32))


def _host(array: Array) -> Any:
    return array if isinstance(array, np.ndarray) else array.cpu().numpy()


def _fingerprint(shape: tuple[int, ...], checksum: np.ndarray[Any, Any]) -> str:
    """SHA-256 of the shape and the exact column sums of the bits; the order of the images plays no part in the game."""
    return hashlib.sha256(repr(tuple(shape)).encode() + checksum.tobytes()).hexdigest()


def _dask_levels(source: DaskSource, sides: tuple[int, ...], dtype: str, device: Any) -> tuple[list[Level], str]:
    if device is not None:
        raise InputError("device", device, "be None for a Dask array", "its workers compute where they are")
    n, size, _, channels = source.shape
    full = DaskRows(source.images.persist(), ReadLevel(1, dtype), (n, size * size * channels))
    total, low, high = full.map_sum(_dask_moments)
    mean = total / n
    if not np.all(np.isfinite(mean)):
        raise InputError("images", source.images, "hold finite numbers only", "it has NaN or infinity")
    levels = []
    for side in sides:
        rows = DaskRows(full.images, ReadLevel(size // side, dtype), (n, side * side * channels))
        pooled = average_pool(mean.reshape(1, size, size, channels), size // side).reshape(-1)
        levels.append(Level(rows, (side, side, channels), pooled, "on the Dask cluster"))
    return levels, _fingerprint(source.shape, np.concatenate([low, high]))


def _dask_moments(block: Array) -> tuple[Array, ...]:
    """Sums, and checksums of the bits in halves of 16: exact in float64 up to 2³⁷ images."""
    bits = np.ascontiguousarray(block, np.float32).view(np.uint32)
    low, high = bits & 0xFFFF, bits >> 16
    return block.sum(axis=0, dtype=np.float64), low.sum(axis=0, dtype=np.float64), high.sum(axis=0, dtype=np.float64)
