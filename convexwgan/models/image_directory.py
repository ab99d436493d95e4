"""A folder of JPEG and PNG files as equally sized images: decoded in parallel, sorted, no file lost silently."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from convexwgan.errors import ConvexWGANError, FileFormatError, InputError
from convexwgan.extras import require
from convexwgan.models.image_source import ArraySource
from convexwgan.spec.validation import count, flag

if TYPE_CHECKING:
    from PIL.Image import Image

logger = logging.getLogger("convexwgan")

Pixels = npt.NDArray[np.uint8]
Progress = Callable[[int, int], None]
"""Called with (files decoded, files in all)."""

SUFFIXES = (".jpg", ".jpeg", ".png")
_CHUNK = 64
"""Files handed to the pool at once: what is decoded but not yet stored is bounded by this many images."""


class ImageDirectory:
    """The images of a folder as an ``ImageSource``: one size, one number of channels, in sorted order.

    Every file is decoded once, here, so that a corrupt one is known before anything is fitted. Pixels stay 8-bit:
    in memory, or in a memory-mapped file of your choice where the folder is larger than memory.

    What becomes of a file: its EXIF orientation is applied; 16-bit greys keep their upper 8 bits; palettes are
    looked up; transparency is laid over white; then grey or RGB as ``color`` says, whatever the file had; then the
    centre crop; then resizing with antialiasing (bicubic).

    Args:
        folder: where the files are. Names ending in .jpg, .jpeg or .png in any case count as images, other files
            are left alone and counted in ``ignored``; hidden files are not looked at.
        size: side of the square images, or (height, width); None keeps the files' own size, which must then be one.
        crop: cut the largest centred rectangle of the wanted shape before resizing; False squeezes instead.
        color: True for (height, width, 3), False for (height, width, 1).
        recursive: descend into subfolders.
        on_error: "raise" names the first corrupt file; "skip" leaves corrupt files out, counts them in ``skipped``
            and logs each.
        limit: read only so many files, the first ones.
        cache: path of a new .npy file to hold the pixels outside memory.
        workers: decoding threads; None is the number of cores, 8 at most.
        progress: called with (files decoded, files in all).

    Attributes:
        shape: (n, height, width, channels).
        files: the files behind the rows, in order.
        skipped: corrupt files left out, each with the reason.
        ignored: how many other files the folder has.

    Raises:
        InputError: no such folder, no image in it, files of different sizes with ``size=None``.
        FileFormatError: a corrupt file under ``on_error="raise"``, or nothing but corrupt files.
        MissingExtraError: Pillow is not installed.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("RGB", (6, 4), (255, 0, 0)).save(f"{folder}/red.png")
    ...     images = ImageDirectory(folder, size=2)
    >>> images.shape, images.blocks(0, 1)[0, 0, 0].tolist()
    ((1, 2, 2, 3), [255, 0, 0])
    """

    def __init__(
        self,
        folder: str | Path,
        size: int | tuple[int, int] | None = None,
        *,
        crop: bool = True,
        color: bool = True,
        recursive: bool = False,
        on_error: Literal["raise", "skip"] = "raise",
        limit: int | None = None,
        cache: str | Path | None = None,
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        require("PIL", "images", "reading image files")
        self.folder = Path(folder)
        self.on_error = on_error
        given: Any = on_error
        if given not in ("raise", "skip"):
            raise InputError("on_error", on_error, 'be "raise" or "skip"', "skipped files are counted and logged")
        found, self.ignored = list_images(self.folder, flag("recursive", recursive, "True descends into subfolders"))
        found = found if limit is None else found[: count("limit", limit, "it is the number of files to read")]
        threads = count("workers", _default_workers() if workers is None else workers, "it is a number of threads")
        rule = _Rule(
            _size(size), flag("crop", crop, "False squeezes instead"), flag("color", color, "False gives greys")
        )
        self.skipped: tuple[tuple[Path, str], ...] = ()
        self.files: tuple[Path, ...] = ()
        self._pixels = self._read(found, rule, threads, cache, progress)
        if self.ignored:
            logger.info("%s: %d files that are no JPEG or PNG by name were left alone", self.folder, self.ignored)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n, height, width, channels)."""
        n, height, width, channels = self._pixels.shape
        return n, height, width, channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """8-bit pixels: 0 is black, 255 is white."""
        return self._pixels.dtype

    def __len__(self) -> int:
        return int(self._pixels.shape[0])

    def __repr__(self) -> str:
        lost = f", {len(self.skipped)} corrupt files skipped" if self.skipped else ""
        return f"ImageDirectory({str(self.folder)!r}: {self.shape}{lost})"

    def blocks(self, start: int, stop: int) -> Pixels:
        """Images start to stop − 1 as uint8, (stop − start, height, width, channels); pages of a cache are released."""
        return np.asarray(ArraySource(self._pixels).blocks(start, stop))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self._pixels, dtype=dtype, copy=bool(copy) or None)

    # ---- reading ---------------------------------------------------------------------------------------------

    def _read(
        self, found: Sequence[Path], rule: _Rule, threads: int, cache: str | Path | None, progress: Progress | None
    ) -> Pixels:
        store = _Store(len(found), None if cache is None else Path(cache))
        try:
            kept, skipped = self._fill(store, found, rule, threads, progress)
        except BaseException:
            store.discard()
            raise
        if not kept:
            name, why = skipped[0][0].name, skipped[0][1]
            raise FileFormatError(
                f"{self.folder}: none of {len(found)} image files can be decoded; the first is {name}: {why}."
            )
        self.files, self.skipped = tuple(kept), tuple(skipped)
        if skipped:
            logger.warning("%s: %d of %d files are corrupt and were skipped", self.folder, len(skipped), len(found))
        return store.finish()

    def _fill(
        self, store: _Store, found: Sequence[Path], rule: _Rule, threads: int, progress: Progress | None
    ) -> tuple[list[Path], list[tuple[Path, str]]]:
        kept: list[Path] = []
        skipped: list[tuple[Path, str]] = []
        rest = iter(found)
        with ThreadPoolExecutor(threads) as pool:
            while chunk := list(islice(rest, _CHUNK)):
                for path, result in zip(chunk, pool.map(rule, chunk), strict=True):
                    if isinstance(result, _Unreadable):
                        skipped.append((path, self._corrupt(path, result.reason)))
                    else:
                        store.append(path, result)
                        kept.append(path)
                if progress is not None:
                    progress(len(kept) + len(skipped), len(found))
        return kept, skipped

    def _corrupt(self, path: Path, reason: str) -> str:
        if self.on_error == "raise":
            raise FileFormatError(
                f"{path} cannot be decoded ({reason}): replace it, or pass on_error='skip' to leave such files out."
            )
        logger.warning("skipped %s: %s", path, reason)
        return reason


def list_images(folder: Path, recursive: bool = False) -> tuple[list[Path], int]:
    """The JPEG and PNG files by name, sorted by their path inside the folder, and how many other files there are.

    Raises:
        InputError: no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise InputError("folder of images", str(folder), "be an existing folder", "check the path")
    inside = folder.rglob("*") if recursive else folder.iterdir()
    visible = [p for p in inside if p.is_file() and not any(q.startswith(".") for q in p.relative_to(folder).parts)]
    images = [path for path in visible if path.suffix.lower() in SUFFIXES]
    if not images:
        deeper = "" if recursive else ", or recursive=True for its subfolders"
        remedy = f"it has {len(visible)} other files; give the folder with the images{deeper}"
        raise InputError("folder of images", str(folder), "hold .jpg, .jpeg or .png files", remedy)
    return sorted(images, key=lambda path: path.relative_to(folder).as_posix()), len(visible) - len(images)


def _default_workers() -> int:
    return min(8, os.cpu_count() or 1)


def _size(given: Any) -> tuple[int, int] | None:
    """(height, width), from one side or two."""
    if given is None:
        return None
    sides = tuple(given) if isinstance(given, (tuple, list)) else (given, given)
    remedy = "it is the side of the square images, or (height, width), in pixels"
    if len(sides) != 2:
        raise InputError("size of the images", given, "be one side or (height, width)", remedy)
    return count("size of the images", sides[0], remedy), count("size of the images", sides[1], remedy)


def _side(shape: Sequence[int]) -> str:
    return f"{shape[0]} × {shape[1]}"


def centre_box(width: int, height: int, ratio: float) -> tuple[int, int, int, int]:
    """(left, upper, right, lower) of the largest centred rectangle with width / height = ratio, at least one pixel.

    >>> centre_box(178, 218, 1.0)
    (0, 20, 178, 198)
    """
    wide = max(1, min(width, round(height * ratio)))
    high = max(1, min(height, round(width / ratio)))
    left, upper = (width - wide) // 2, (height - high) // 2
    return left, upper, left + wide, upper + high


@dataclass(frozen=True)
class _Unreadable:
    """Why a file gave no image."""

    reason: str


@dataclass(frozen=True)
class _Rule:
    """From one file to pixels (height, width, channels); what cannot be decoded is returned, not raised."""

    size: tuple[int, int] | None
    crop: bool
    color: bool

    def __call__(self, path: Path) -> Pixels | _Unreadable:
        from PIL import Image

        try:
            with Image.open(path) as image:
                if image.format not in ("JPEG", "MPO", "PNG"):
                    return _Unreadable(f"it is {image.format} inside, not JPEG or PNG")
                return self.pixels(image)
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
            if isinstance(error, ConvexWGANError):
                raise
            # Pillow says "cannot identify image file 'PATH'": the path is in our message already.
            return _Unreadable(str(error).split(" '")[0].strip() or type(error).__name__)

    def pixels(self, image: Image) -> Pixels:
        from PIL import ImageOps
        from PIL.Image import Resampling

        image = eight_bit(ImageOps.exif_transpose(image), self.color)
        if self.size is not None:
            height, width = self.size
            box = centre_box(image.width, image.height, width / height) if self.crop else None
            image = image.resize((width, height), Resampling.BICUBIC, box=box)
        pixels = np.asarray(image, dtype=np.uint8)
        return pixels if pixels.ndim == 3 else pixels[:, :, None]


def eight_bit(image: Image, color: bool) -> Image:
    """Any mode that JPEG and PNG have, as "RGB" or "L": transparency over white, 16-bit greys by their upper byte."""
    from PIL import Image as Pillow

    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.int64)
        image = Pillow.fromarray(np.clip(grey // 256, 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Pillow.alpha_composite(Pillow.new("RGBA", image.size, (255, 255, 255, 255)), image)
    if image.mode == "P":  # straight from a palette to grey Pillow would round twice
        image = image.convert("RGB")
    return image.convert("RGB" if color else "L")


class _Store:
    """Rows of pixels that all have the first one's shape, in memory or in a file; written whole or not at all."""

    def __init__(self, capacity: int, cache: Path | None) -> None:
        self.capacity, self.cache, self.n = capacity, cache, 0
        self.pixels: Pixels | None = None
        if cache is not None and (cache.suffix != ".npy" or not cache.parent.is_dir()):
            raise InputError("cache", str(cache), "be a .npy file in an existing folder", "make the folder first")

    def append(self, path: Path, image: Pixels) -> None:
        if self.pixels is None:
            self.pixels = self._room((self.capacity, *image.shape))
        if image.shape != self.pixels.shape[1:]:
            first, this = _side(self.pixels.shape[1:]), _side(image.shape)
            raise InputError(
                f"size of {path.name}", this, f"be {first} (height × width), as the first file", "give size= to resize"
            )
        self.pixels[self.n] = image
        self.n += 1

    def _room(self, shape: tuple[int, ...]) -> Pixels:
        if self.cache is None:
            return np.empty(shape, dtype=np.uint8)
        return np.lib.format.open_memmap(self._draft, mode="w+", dtype=np.uint8, shape=shape)

    @property
    def _draft(self) -> Path:
        assert self.cache is not None
        return self.cache.with_name(f"{self.cache.stem}.{os.getpid()}.part.npy")

    def finish(self) -> Pixels:
        """The rows that were written: read-only from a file, whose name appears only now that it is whole."""
        assert self.pixels is not None
        if self.cache is None:
            return self.pixels[: self.n]
        if self.n < self.capacity:
            # The number of rows stands in the header of the file, so rows that were skipped cost one copy.
            full, whole = self.pixels, self._draft.with_suffix(".whole.npy")
            copy = np.lib.format.open_memmap(whole, mode="w+", dtype=np.uint8, shape=(self.n, *full.shape[1:]))
            for start in range(0, self.n, _CHUNK):
                copy[start : start + _CHUNK] = full[start : min(self.n, start + _CHUNK)]
            copy.flush()
            os.replace(whole, self._draft)
        else:
            self.pixels.flush()  # type: ignore[attr-defined]  # a memory map
        self.pixels = None
        os.replace(self._draft, self.cache)
        pixels: Pixels = np.load(self.cache, mmap_mode="r")
        return pixels

    def discard(self) -> None:
        """Remove the unfinished file."""
        if self.cache is not None:
            self.pixels = None
            self._draft.unlink(missing_ok=True)
