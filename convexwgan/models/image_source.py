"""Where images come from, one block of rows at a time: arrays, memory maps, Dask arrays, or a class of your own."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from convexwgan.arrays import Array
from convexwgan.errors import InputError

IMAGE_TYPES = "uint8 (0 to 255), float32 or float64 (0 to 1)"


@runtime_checkable
class ImageSource(Protocol):
    """Images of one size that can be read block by block, any number of times, always the same.

    Attributes:
        shape: (n, height, width, channels); one channel is grey.
    """

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n, height, width, channels)."""
        ...

    def __len__(self) -> int:
        """n, the number of images."""
        ...

    def blocks(self, start: int, stop: int) -> Array:
        """Images start, …, stop − 1 as one array (stop − start, height, width, channels).

        uint8 from 0 to 255, or floating from 0 to 1; NumPy, or torch on any device.
        """
        ...


class ArraySource:
    """Images held by a NumPy array (also a memory map) or a torch tensor; nothing is copied until it is read.

    >>> ArraySource(np.zeros((5, 4, 4), dtype=np.uint8)).shape
    (5, 4, 4, 1)
    """

    def __init__(self, images: Array) -> None:
        self.images = images
        n, height, width, *channels = _image_shape(images)
        self.shape: tuple[int, int, int, int] = (n, height, width, channels[0] if channels else 1)
        _require_type(images)

    def __len__(self) -> int:
        return self.shape[0]

    def blocks(self, start: int, stop: int) -> Array:
        """Images start, …, stop − 1: a view, or a copy of the pages of a memory map, which are then released."""
        mapped = getattr(self.images, "_mmap", None)
        if mapped is None:
            return self.images[start:stop].reshape(stop - start, *self.shape[1:])
        block = np.array(self.images[start:stop]).reshape(stop - start, *self.shape[1:])
        if getattr(self.images, "mode", None) == "r" and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)  # read pages would count as ours until the system wants them back
        return block


class DaskSource:
    """Images held by a Dask array, whole images in every chunk: one chunk is one block of rows.

    ``blocks`` computes what it is asked for; a fit does not use it, but sends its sums to the chunks instead.
    """

    def __init__(self, images: Any) -> None:
        n, height, width, *channels = _image_shape(images)
        self.shape: tuple[int, int, int, int] = (n, height, width, channels[0] if channels else 1)
        _require_type(images)
        if any(np.isnan(size) for sizes in images.chunks for size in sizes):
            remedy = "call compute_chunk_sizes() first"
            raise InputError("images", images, "be a Dask array with known chunk sizes", remedy)
        self.images = images.rechunk(dict.fromkeys(range(1, images.ndim), -1))

    def __len__(self) -> int:
        return self.shape[0]

    def blocks(self, start: int, stop: int) -> Array:
        """Images start, …, stop − 1, computed by the scheduler in use."""
        return np.asarray(self.images[start:stop].compute()).reshape(stop - start, *self.shape[1:])


def as_image_source(images: Any, size: int | None = None) -> ImageSource:
    """The source of ``images``: as it is, around an array, or the folder of that name.

    Args:
        images: (n, height, width) or (n, height, width, channels) with 1 or 3 channels, uint8 or floating in [0, 1]:
            NumPy, memory map, torch, Dask; or an ``ImageSource``; or the path of a folder of JPEG and PNG files.
        size: side to resize the files of a folder to; None keeps their own.

    Raises:
        InputError: none of these; wrong axes, channels or dtype; no such folder.
        FileFormatError: a corrupt file in the folder; ``ImageDirectory(folder, on_error="skip")`` leaves it out.

    >>> len(as_image_source(np.zeros((5, 4, 4, 3))))
    5
    """
    if hasattr(images, "dask") and hasattr(images, "chunks"):
        return DaskSource(images)
    if isinstance(images, str | Path):
        from convexwgan.models.image_directory import ImageDirectory

        return ImageDirectory(images, size)
    if hasattr(images, "blocks") and hasattr(images, "__len__"):
        if len(images.shape) != 4:
            raise InputError("shape of images", images.shape, "be (n, height, width, channels)", "see ImageSource")
        source: ImageSource = images
        return source
    if not hasattr(images, "shape") or not hasattr(images, "dtype"):
        images = _stacked(images)
    return ArraySource(images)


def _stacked(images: Any) -> Any:
    try:
        return np.asarray(images)
    except ValueError as error:
        remedy = "crop or resize them first"
        raise InputError("images", f"{len(images)} arrays", "have one shape", remedy) from error


def _image_shape(images: Array) -> tuple[int, ...]:
    shape = tuple(images.shape)
    must = "have axes (n, height, width) or (n, height, width, channels)"
    if len(shape) not in (3, 4) or 0 in shape:
        raise InputError("images", images, must, "stack the images along a first axis")
    if len(shape) == 4 and shape[3] not in (1, 3):
        raise InputError("images", images, f"{must} with 1 or 3 channels", "put the channels last; drop alpha")
    return shape


def _require_type(images: Array) -> None:
    name = str(images.dtype).rpartition(".")[2]
    if name not in ("uint8", "float16", "float32", "float64"):
        raise InputError("dtype of images", name, f"be {IMAGE_TYPES}", "convert the images first")
