"""Rows on a Dask cluster: sums are computed where the chunks are; Dask recomputes what a lost worker took with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convexwgan.arrays import Array, Float64
from convexwgan.geometry.rows import BlockSum

FAN_IN = 8
"""Partial sums added at a time: a tree, so that no worker collects them all."""


class DaskRows:
    """The images of a Dask array, chunk by chunk, each read by ``read`` as rows (b, d).

    Args:
        images: dask.array (n, height, width[, channels]), chunked along the first axis only.
        read: raw chunk → rows; picklable.
        shape: (n, d).
    """

    def __init__(self, images: Any, read: Callable[[Array], Array], shape: tuple[int, int]) -> None:
        self.images, self.read, self.shape = images, read, shape
        self.passes = 0

    def map_sum(self, function: BlockSum, *arguments: Any) -> tuple[Float64, ...]:
        """Σ over chunks of ``function(rows, *arguments)``, each part in float64; one task a chunk, then a tree."""
        from dask.delayed import delayed

        self.passes += 1
        shared = delayed(arguments, traverse=False)
        part, add = delayed(_part, pure=False), delayed(_total, pure=False)
        parts = [part(chunk, self.read, function, shared) for chunk in self.images.to_delayed().ravel()]
        while len(parts) > 1:
            parts = [add(parts[i : i + FAN_IN]) for i in range(0, len(parts), FAN_IN)]
        result: tuple[Float64, ...] = parts[0].compute()
        return result


def _part(
    chunk: Array, read: Callable[[Array], Array], function: BlockSum, arguments: tuple[Any, ...]
) -> tuple[Float64, ...]:
    return tuple(np.asarray(value, dtype=np.float64) for value in function(read(chunk), *arguments))


def _total(parts: list[tuple[Float64, ...]]) -> tuple[Float64, ...]:
    return tuple(sum(values[1:], values[0]) for values in zip(*parts, strict=True))
