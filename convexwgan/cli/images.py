"""``images``: a folder of pictures in, a certified progressive generator out; its samples, walks and quality."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.cli.exits import EXIT_OF_STATUS, Exit
from convexwgan.cli.output import Output
from convexwgan.errors import InputError
from convexwgan.extras import require
from convexwgan.models.image_directory import ImageDirectory, Progress
from convexwgan.report.images import mosaic
from convexwgan.report.tables import number_text, plain_table
from convexwgan.spec.validation import count

if TYPE_CHECKING:
    from convexwgan.models.procogan import ProCoGAN

OnError = Literal["raise", "skip"]


def run_fit(
    output: Output,
    folder: Path,
    out: Path,
    reading: dict[str, Any],
    fitting: dict[str, Any],
) -> Exit:
    """Read, fit, save; the exit code is that of the worst stage.

    Args:
        reading: options of ``ImageDirectory``. fitting: parameters of ``ProCoGAN``.
    """
    from convexwgan.models.procogan import ProCoGAN

    _refuse_lost_work(out)
    images = _read(folder, reading)
    progress: Literal["bar"] | None = "bar" if sys.stderr.isatty() and not output.as_json else None
    model = ProCoGAN(**fitting, progress=progress)
    with _watched_folder(fitting.get("checkpoint")):
        model.fit(images)
    model.save(out)
    return _tell_fit(output, model, images, folder, out)


def _tell_fit(output: Output, model: ProCoGAN, images: ImageDirectory, folder: Path, out: Path) -> Exit:
    """The stages as a table or as JSON, and the exit code of the worst."""
    code = EXIT_OF_STATUS[model.status_]
    stages = [_stage_row(model, i) for i in range(len(model.stages_))]
    document = {"images": _images_dict(images), "stages": stages, "status": model.status_.value, "model": str(out)}
    output.document({**document, "exit_code": int(code)})
    output.show(_stage_table(f"{len(images):,} images of {folder}", stages))
    output.text(f"{model.status_.name}: {out}{_lost(images)}")
    return code


def run_sample(output: Output, model_file: Path, out: Path, n: int, seed: int, columns: int | None) -> Exit:
    """A grid of fresh samples, as PNG or as .npy."""
    model = _load(model_file)
    images = model.sample(count("--n", n, "it is the number of images"), rng=count("--seed", seed, "a seed", least=0))
    return _finish(output, write_images(images, out, columns), {"n": n, "seed": seed})


def run_walk(output: Output, model_file: Path, out: Path, components: int, steps: int, span: float) -> Exit:
    """One row a component: the images between −span and +span standard deviations of its code."""
    model = _load(model_file)
    most = model.stages_[-1].components
    rows = min(count("--components", components, "it is the number of rows"), most)
    if not span > 0:
        raise InputError("--span", span, "be > 0", "it is a number of standard deviations")
    steps = count("--steps", steps, "it is the number of images a row", least=2)
    images = np.concatenate([model.walk(component, steps, span) for component in range(rows)])
    return _finish(output, write_images(images, out, steps), {"components": rows, "steps": steps, "span": span})


def run_evaluate(
    output: Output,
    model_file: Path,
    folder: Path,
    n: int,
    seed: int,
    k: int,
    inception: Path | None,
    reading: dict[str, Any],
) -> Exit:
    """Quality of n fresh samples against the images of a folder, and the certificates if these are the fit's own."""
    from convexwgan.report.image_features import InceptionFeatures
    from convexwgan.report.quality import image_quality

    model = _load(model_file)
    height, width, channels = model.stages_[-1].shape
    images = _read(folder, {**reading, "size": (height, width), "color": channels == 3})
    extractor = None if inception is None else InceptionFeatures(inception)
    fake = model.sample(count("--n", n, "it is the number of generated images"), rng=seed)
    quality = image_quality(np.asarray(images), fake, extractor=extractor, k=k)
    numbers = quality.as_dict()
    output.document(
        {"images": _images_dict(images), "quality": numbers, "is_fid": inception is not None, "exit_code": 0}
    )
    table = plain_table(f"{n:,} generated against {len(images):,} real images", ("measure", "value"))
    for text, value in _quality_rows(numbers, k, inception is not None):
        table.add_row(text, number_text(float(value)))
    output.show(table)
    if lost := _lost(images):
        output.text(lost.lstrip("; "))
    return Exit.OK


def _quality_rows(numbers: dict[str, Any], k: int, is_fid: bool) -> list[tuple[str, Any]]:
    """What each number of ``ImageQuality`` is called."""
    return [
        ("FID" if is_fid else "Fréchet distance (edge features, no FID)", numbers["frechet"]),
        (f"precision (k = {k})", numbers["precision"]),
        (f"recall (k = {k})", numbers["recall"]),
        ("share closer to a real image than 99 % of the real ones", numbers["memorized_share"]),
        ("median nearest distance, against real images' own", numbers["nearest_ratio"]),
    ]


def write_images(images: Float64, path: Path, columns: int | None) -> Path:
    """The images as one PNG grid, clipped to [0, 1], or as they are in a .npy file.

    Raises:
        InputError: another ending, or no such folder.
    """
    if path.suffix not in (".png", ".npy") or not path.parent.is_dir():
        raise InputError("--out", str(path), "be a .png or .npy file in an existing folder", "make the folder first")
    if path.suffix == ".npy":
        np.save(path, images.astype(np.float32))
        return path
    pillow = require("PIL.Image", "images", "writing PNG files")
    n, height, width, channels = images.shape
    tile = (height, width) if channels == 1 else (height, width, channels)
    columns = None if columns is None else count("--columns", columns, "it is the number of tiles in a row")
    tiles = mosaic(images.reshape(n, -1), tile, columns)
    pillow.fromarray(np.round(tiles * 255.0).astype(np.uint8)).save(path)
    return path


def numbers_of(subject: str, text: str | None, kind: type[int] | type[float]) -> tuple[Any, ...] | None:
    """A list as people type it.

    >>> numbers_of("--components", "20, 30", int)
    (20, 30)
    """
    if text is None:
        return None
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(subject, text, "be numbers with commas between", "as 20,30,40") from error


def _read(folder: Path, reading: dict[str, Any]) -> ImageDirectory:
    with _reading_bar() as progress:
        return ImageDirectory(folder, **reading, progress=progress)


@contextmanager
def _reading_bar() -> Iterator[Progress | None]:
    """A bar on stderr when that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("Reading images", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def _watched_folder(checkpoint: str | Path | None) -> Iterator[None]:
    """An interrupted fit says where to go on."""
    try:
        yield
    except KeyboardInterrupt:
        if checkpoint is not None:
            sys.stderr.write(f"interrupted: run the same command again to go on from {checkpoint}\n")
        raise


def _refuse_lost_work(out: Path) -> None:
    """Before the fit, not after it."""
    if out.suffix != ".safetensors" or not out.parent.is_dir() or out.is_dir():
        remedy = "it is where the model is written"
        raise InputError("--out", str(out), "be a .safetensors file in an existing folder", remedy)


def _load(model_file: Path) -> ProCoGAN:
    from convexwgan.models.procogan import ProCoGAN

    return ProCoGAN.load(model_file)


def _finish(output: Output, path: Path, document: dict[str, Any]) -> Exit:
    output.document({**document, "file": str(path), "exit_code": 0})
    output.text(str(path))
    return Exit.OK


def _stage_row(model: ProCoGAN, i: int) -> dict[str, Any]:
    stage, certificate = model.stages_[i], model.certificates_[i]
    return {
        "side": stage.shape[0],
        "components": stage.components,
        "beta": stage.beta,
        "status": certificate.status.value,
        "violation": certificate.violation,
        "relative_gap": certificate.relative_gap,
        "scope": certificate.scope,
        "failure_probability": certificate.failure_probability,
    }


def _stage_table(title: str, stages: list[dict[str, Any]]) -> Any:
    table = plain_table(title, ("side", "components", "β_d", "status", "violation", "relative gap", "scope"))
    for row in stages:
        numbers = (f"{row['beta']:.4g}", row["status"].upper(), f"{row['violation']:.1e}", f"{row['relative_gap']:.1e}")
        table.add_row(str(row["side"]), str(row["components"]), *numbers, row["scope"])
    return table


def _images_dict(images: ImageDirectory) -> dict[str, Any]:
    skipped = [{"file": str(path), "reason": reason} for path, reason in images.skipped]
    return {"folder": str(images.folder), "shape": list(images.shape), "skipped": skipped, "ignored": images.ignored}


def _lost(images: ImageDirectory) -> str:
    if not images.skipped:
        return ""
    names = ", ".join(path.name for path, _ in images.skipped[:5])
    more = ", …" if len(images.skipped) > 5 else ""
    return f"; {len(images.skipped)} corrupt files skipped: {names}{more}"
