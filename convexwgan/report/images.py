"""Grids of images, real beside generated, on one fixed grey scale."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from convexwgan.arrays import Float64, as_samples, to_numpy64
from convexwgan.errors import InputError
from convexwgan.report.style import axes_or_new, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Shape = tuple[int, int] | tuple[int, int, int]


def image_grid(
    images: Any,
    shape: Shape,
    ax: Axes | None = None,
    columns: int | None = None,
    scale: tuple[float, float] = (0.0, 1.0),
    title: str = "",
) -> Axes:
    """Images as tiles, row by row, on a scale that is fixed in advance and the same for every tile.

    Args:
        images: one flattened image a row, (n, height·width) or (n, height·width·3).
        shape: (height, width), or (height, width, 3) for colour.
        ax: where to draw; fresh axes when None.
        columns: tiles in a row; by default as square as it goes.
        scale: what is black and what is white; values outside are clipped.
        title: above the grid.

    Raises:
        InputError: rows that are no images of this shape, or an empty scale.
    """
    tiles = mosaic(images, shape, columns, scale)
    ax = axes_or_new(ax, 5.0, 5.0)
    # Interpolation would invent detail that 25 × 25 pixels do not have.
    ax.imshow(tiles, cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
    ax.set_title(title, loc="left", fontsize=11)
    ax.set_axis_off()
    return ax


def faces_side_by_side(
    real: Any, generated: Any, shape: Shape, count: int = 64, scale: tuple[float, float] = (0.0, 1.0), note: str = ""
) -> tuple[Axes, Axes]:
    """Real images on the left, generated ones on the right, both on the same scale.

    Args:
        real, generated: one flattened image a row.
        shape: of one image.
        count: at most so many of each.
        scale: what is black and what is white.
        note: added to the right title.

    Returns:
        The left and the right axes, of one figure.
    """
    left, right = new_axes(10.4, 5.5, columns=2)
    real, generated = as_samples(real, "real"), as_samples(generated, "generated")
    count = min(count, int(real.shape[0]), int(generated.shape[0]))
    image_grid(real[:count], shape, left, scale=scale, title=f"Real ({count} of {real.shape[0]})")
    image_grid(generated[:count], shape, right, scale=scale, title=f"Generated{note and ': '}{note}")
    return left, right


def mosaic(images: Any, shape: Shape, columns: int | None = None, scale: tuple[float, float] = (0.0, 1.0)) -> Float64:
    """The tiles as one array in [0, 1], a white line of one pixel between them.

    >>> mosaic([[0.0, 2.0]], (1, 2), scale=(0.0, 4.0)).tolist()
    [[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.5, 1.0], [1.0, 1.0, 1.0, 1.0]]
    """
    rows = to_numpy64(as_samples(images, "images"))
    if rows.shape[1] != math.prod(shape):
        raise InputError(
            "images",
            rows,
            f"have {math.prod(shape)} columns for shape {shape}",
            "flatten each image, or correct the shape",
        )
    low, high = scale
    if not low < high:
        raise InputError(
            "scale of the images", scale, "be (black, white) with black < white", "for pixels in [0, 1] say (0.0, 1.0)"
        )
    pixels = np.clip((rows - low) / (high - low), 0.0, 1.0).reshape(len(rows), *shape)
    across = columns or math.ceil(math.sqrt(len(rows)))
    height, width = shape[0], shape[1]
    tiles = np.ones((math.ceil(len(rows) / across) * (height + 1) + 1, across * (width + 1) + 1, *shape[2:]))
    for i, image in enumerate(pixels):
        top, left = (i // across) * (height + 1) + 1, (i % across) * (width + 1) + 1
        tiles[top : top + height, left : left + width] = image
    return tiles
