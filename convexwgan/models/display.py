"""Generated images made ready to look at: histograms matched to real ones, values clipped."""

from __future__ import annotations

from typing import Any

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.errors import InputError
from convexwgan.extras import require


def match_histograms(images: Any, reference: Any) -> Float64:
    """The images with the intensity histogram, channel by channel, of the reference images taken together.

    A linear generator makes Gaussian intensities; the paper matches histograms before it shows or compares images.

    Args:
        images: (n, height, width, channels). reference: (m, height', width', channels), real images in [0, 1].

    Raises:
        InputError: shapes that do not fit. MissingExtraError: scikit-image is not installed.
    """
    exposure = require("skimage.exposure", "images", "match_histograms")
    given, real = np.asarray(images, dtype=np.float64), np.asarray(reference)
    real = real / 255.0 if real.dtype == np.uint8 else real.astype(np.float64)
    if given.ndim != 4 or real.ndim != 4 or given.shape[3] != real.shape[3] or 0 in given.shape + real.shape:
        must = "have axes (n, height, width, channels), and the channels of the reference"
        raise InputError("images", given, must, "add an axis of length 1 to grey images")
    channels = given.shape[3]
    matched = exposure.match_histograms(given.reshape(-1, 1, channels), real.reshape(-1, 1, channels), channel_axis=2)
    result: Float64 = np.asarray(matched, dtype=np.float64).reshape(given.shape)
    return result
