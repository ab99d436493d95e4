"""Image grids keep one fixed scale and put every pixel where it belongs."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from convexwgan.errors import InputError
from convexwgan.report.images import faces_side_by_side, image_grid, mosaic


def test_mosaic_puts_images_row_by_row_with_white_lines_between() -> None:
    images = np.arange(3)[:, None] / 4 * np.ones((3, 6))
    tiles = mosaic(images, (2, 3), columns=2)
    assert tiles.shape == (7, 9)
    assert np.all(tiles[1:3, 5:8] == 0.25)
    assert np.all(tiles[4:6, 1:4] == 0.5)
    assert np.all(tiles[4:6, 5:8] == 1.0)
    assert np.all(tiles[::3] == 1.0)


def test_mosaic_clips_to_the_scale_and_keeps_colour() -> None:
    tiles = mosaic([[-1.0, 0.5, 7.0]], (1, 1, 3))
    assert tiles[1, 1].tolist() == [0.0, 0.5, 1.0]


def test_grid_shows_the_same_grey_whatever_else_is_in_it() -> None:
    ax = image_grid(np.array([[0.4, 0.4], [0.5, 0.5]]), (1, 2))
    assert ax.images[0].get_clim() == (0.0, 1.0)
    assert len(np.unique(np.asarray(ax.images[0].get_array()))) == 3


def test_real_is_left_generated_right_both_on_one_scale_and_equally_many() -> None:
    rng = np.random.default_rng(0)
    left, right = faces_side_by_side(rng.random((9, 4)), rng.random((5, 4)), (2, 2))
    assert left.get_title(loc="left").startswith("Real (5 of 9)")
    assert right.get_title(loc="left").startswith("Generated")
    assert left.images[0].get_clim() == right.images[0].get_clim() == (0.0, 1.0)
    assert left.get_figure() is right.get_figure()


def test_wrong_shape_and_empty_scale_are_refused() -> None:
    with pytest.raises(InputError, match="have 6 columns"):
        mosaic([[1.0, 2.0]], (2, 3))
    with pytest.raises(InputError, match="black < white"):
        mosaic([[1.0, 2.0]], (1, 2), scale=(1.0, 1.0))
