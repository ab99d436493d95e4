"""A folder of image files: every kind of file has one defined fate, and none is lost silently."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL")

from PIL import Image

from convexwgan.errors import FileFormatError, InputError
from convexwgan.models.image_directory import ImageDirectory, centre_box
from convexwgan.models.image_source import ImageSource, as_image_source


def picture(height: int, width: int, seed: int = 0, channels: int = 3) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(pixels if channels > 1 else pixels[:, :, 0])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five PNG files of 6 × 6, written in no order."""
    for i in (3, 0, 4, 1, 2):
        picture(6, 6, seed=i).save(tmp_path / f"{i}.png")
    return tmp_path


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


# ---------------------------------------------------------------------------------------------- order


def test_rows_are_the_files_in_sorted_order_whatever_the_number_of_threads(folder: Path) -> None:
    one, four = ImageDirectory(folder, workers=1), ImageDirectory(folder, workers=4)
    assert [path.name for path in one.files] == [f"{i}.png" for i in range(5)]
    assert one.shape == (5, 6, 6, 3)
    assert len(one) == 5
    assert np.array_equal(np.asarray(one), np.asarray(four))
    for i in range(5):
        assert np.array_equal(one.blocks(i, i + 1)[0], pixels_of(folder / f"{i}.png"))


def test_blocks_stack_to_the_whole(folder: Path) -> None:
    images = ImageDirectory(folder)
    assert np.array_equal(np.concatenate([images.blocks(0, 2), images.blocks(2, 5)]), np.asarray(images))
    assert images.blocks(0, 2).dtype == np.uint8


def test_a_directory_is_an_image_source(folder: Path) -> None:
    images = ImageDirectory(folder)
    assert isinstance(images, ImageSource)
    assert as_image_source(images) is images


def test_limit_reads_the_first_files(folder: Path) -> None:
    assert [path.name for path in ImageDirectory(folder, limit=2).files] == ["0.png", "1.png"]


def test_subfolders_are_read_only_when_asked_and_hidden_files_never(folder: Path) -> None:
    (folder / "a").mkdir()
    picture(6, 6, 7).save(folder / "a" / "deep.png")
    (folder / ".hidden.png").write_bytes(b"not an image")
    assert len(ImageDirectory(folder)) == 5
    deep = ImageDirectory(folder, recursive=True)
    assert [path.name for path in deep.files] == [*(f"{i}.png" for i in range(5)), "deep.png"]


def test_progress_ends_with_all_files(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    ImageDirectory(folder, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (5, 5)


# ---------------------------------------------------------------------------------------------- geometry


def test_centre_crop_keeps_the_middle_and_squeezing_keeps_everything(tmp_path: Path) -> None:
    pixels = np.zeros((4, 8, 3), dtype=np.uint8)
    pixels[:, 2:6] = 200
    Image.fromarray(pixels).save(tmp_path / "x.png")
    assert (np.asarray(ImageDirectory(tmp_path, size=4)) == 200).all()
    squeezed = np.asarray(ImageDirectory(tmp_path, size=4, crop=False))
    assert squeezed[0, 0, 0, 0] < 50
    assert ImageDirectory(tmp_path, size=(2, 6)).shape == (1, 2, 6, 3)


@pytest.mark.parametrize("sides", [(178, 218, 1.0), (5, 1, 1.0), (1, 1, 7.0), (640, 480, 0.5)])
def test_centre_box_lies_inside_and_is_centred(sides: tuple[int, int, float]) -> None:
    width, height, ratio = sides
    left, upper, right, lower = centre_box(width, height, ratio)
    assert 0 <= left < right <= width
    assert 0 <= upper < lower <= height
    assert abs((width - right) - left) <= 1
    assert abs((height - lower) - upper) <= 1


def test_resizing_averages_instead_of_dropping_pixels(tmp_path: Path) -> None:
    checkers = np.indices((64, 64)).sum(axis=0) % 2 * 255
    Image.fromarray(checkers.astype(np.uint8)).save(tmp_path / "x.png")
    small = np.asarray(ImageDirectory(tmp_path, size=8, color=False)).astype(float)
    assert np.abs(small - 127.5).max() < 25


def test_sizes_that_differ_are_refused_without_a_size_and_resized_with_one(folder: Path) -> None:
    picture(5, 7).save(folder / "9.png")
    with pytest.raises(InputError, match=r"9\.png = '5 × 7' must be 6 × 6"):
        ImageDirectory(folder)
    assert ImageDirectory(folder, size=6).shape == (6, 6, 6, 3)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    picture(4, 8).save(tmp_path / "x.jpg", exif=exif)
    assert ImageDirectory(tmp_path).shape == (1, 8, 4, 3)


# ---------------------------------------------------------------------------------------------- modes


def test_grey_and_colour_files_become_what_is_asked(tmp_path: Path) -> None:
    picture(4, 4, 1, channels=1).save(tmp_path / "grey.png")
    picture(4, 4, 2).save(tmp_path / "rgb.png")
    colour, grey = ImageDirectory(tmp_path), ImageDirectory(tmp_path, color=False)
    assert (colour.shape, grey.shape) == ((2, 4, 4, 3), (2, 4, 4, 1))
    assert np.array_equal(colour.blocks(0, 1)[0, :, :, 0], grey.blocks(0, 1)[0, :, :, 0])
    with Image.open(tmp_path / "rgb.png") as image:
        assert np.array_equal(grey.blocks(1, 2)[0, :, :, 0], np.asarray(image.convert("L")))


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    half = Image.new("RGBA", (2, 2), (0, 0, 0, 255))
    half.putpixel((0, 0), (0, 0, 0, 0))
    half.save(tmp_path / "rgba.png")
    Image.new("LA", (2, 2), (40, 0)).save(tmp_path / "la.png")
    la, rgba = np.asarray(ImageDirectory(tmp_path))
    assert (la == 255).all()
    assert rgba[0, 0].tolist() == [255, 255, 255]
    assert rgba[1, 1].tolist() == [0, 0, 0]


def test_palette_16_bit_bilevel_and_cmyk_files_are_read(tmp_path: Path) -> None:
    red = Image.new("RGB", (2, 2), (250, 0, 0))
    red.convert("P", palette=Image.Palette.ADAPTIVE, colors=2).save(tmp_path / "a.png")
    Image.fromarray(np.full((2, 2), 65535, dtype=np.uint16)).save(tmp_path / "b.png")
    Image.new("1", (2, 2), 1).save(tmp_path / "c.png")
    Image.new("CMYK", (2, 2), (0, 0, 0, 255)).save(tmp_path / "d.jpg")
    palette, sixteen, bilevel, cmyk = np.asarray(ImageDirectory(tmp_path)).astype(int)
    assert np.abs(palette - [250, 0, 0]).max() <= 2
    assert (sixteen == 255).all()
    assert (bilevel == 255).all()
    assert cmyk.max() <= 2


def test_16_bit_greys_keep_their_upper_byte(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 255, 256, 0x1234]], dtype=np.uint16)).save(tmp_path / "x.png")
    assert np.asarray(ImageDirectory(tmp_path, color=False)).ravel().tolist() == [0, 0, 1, 0x12]


# ---------------------------------------------------------------------------------------------- bad files


def damaged(folder: Path) -> Path:
    """The folder with a truncated JPEG, an empty file and a text that call themselves images."""
    picture(6, 6).save(folder / "0a.jpg")
    data = (folder / "0a.jpg").read_bytes()
    (folder / "0a.jpg").write_bytes(data[: len(data) // 2])
    (folder / "1a.png").write_bytes(b"")
    (folder / "2a.png").write_text("hello")
    Image.new("RGB", (6, 6)).save(folder / "3a.png", format="GIF")
    return folder


def test_the_first_corrupt_file_is_named(folder: Path) -> None:
    with pytest.raises(FileFormatError, match=r"0a\.jpg cannot be decoded .*on_error='skip'"):
        ImageDirectory(damaged(folder))


def test_corrupt_files_are_skipped_by_choice_counted_and_logged(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="convexwgan"):
        images = ImageDirectory(damaged(folder), on_error="skip")
    assert len(images) == 5
    assert [path.name for path, _ in images.skipped] == ["0a.jpg", "1a.png", "2a.png", "3a.png"]
    assert all(reason for _, reason in images.skipped)
    assert "4 corrupt files skipped" in repr(images)
    for name in ("0a.jpg", "1a.png", "2a.png", "3a.png", "4 of 9"):
        assert name in caplog.text


def test_nothing_but_corrupt_files_is_an_error_under_skip_too(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"?")
    with pytest.raises(FileFormatError, match="none of 1 image files"):
        ImageDirectory(tmp_path, on_error="skip")


def test_other_files_are_counted_not_read(folder: Path) -> None:
    (folder / "list.txt").write_text("0.png")
    assert ImageDirectory(folder).ignored == 1


def test_a_folder_without_images_and_no_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"hold \.jpg, \.jpeg or \.png files"):
        ImageDirectory(tmp_path)
    with pytest.raises(InputError, match="be an existing folder"):
        ImageDirectory(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("options", "subject"),
    [
        ({"size": 0}, "size of the images"),
        ({"size": (4, 4, 3)}, "size of the images"),
        ({"on_error": "ignore"}, "on_error"),
        ({"limit": 0}, "limit"),
        ({"workers": 0}, "workers"),
        ({"color": "yes"}, "color"),
        ({"crop": 1}, "crop"),
        ({"cache": "nowhere/x.npy"}, "cache"),
        ({"cache": "x.bin"}, "cache"),
    ],
)
def test_options_out_of_range_name_themselves(folder: Path, options: dict[str, object], subject: str) -> None:
    with pytest.raises(InputError, match=subject):
        ImageDirectory(folder, **options)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------- cache


def test_a_cache_file_holds_the_same_pixels_outside_memory(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cache = tmp_path_factory.mktemp("cache") / "pixels.npy"
    images = ImageDirectory(damaged(folder), on_error="skip", cache=cache)
    assert isinstance(images._pixels, np.memmap)
    assert np.array_equal(np.asarray(images), np.asarray(ImageDirectory(folder, on_error="skip")))
    assert list(cache.parent.iterdir()) == [cache]


def test_a_failed_read_leaves_no_cache_behind(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("cache")
    (folder / "9.png").write_bytes(b"?")
    with pytest.raises(FileFormatError):
        ImageDirectory(folder, cache=place / "pixels.npy")
    assert list(place.iterdir()) == []
