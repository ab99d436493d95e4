"""The paper's Table 3: the progressive closed form against progressive gradient descent–ascent, on any images.

Both get the same images and the same architecture: linear generators, two-layer quadratic discriminators, one stage a
resolution. Descent–ascent gets the closed form's time, ten times that, and (--full) the paper's 15,000 steps a stage.
The Fréchet distance is of the offline edge features (documentation page on images) and no FID, unless --inception
names the weights of the Inception network.

    python benchmarks/paper/table3.py --fashion /usr/share/datasets/fashion-mnist --seeds 3 --full
    python benchmarks/paper/table3.py --directory celeba/ --size 64 --components 20 30 40 100 175 --inception FILE.pth
    python benchmarks/paper/table3.py --faces        (the crops that ship with scikit-image)
    python benchmarks/paper/table3.py --digits       (the digits that ship with scikit-learn)
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convexwgan import ProCoGAN
from convexwgan.baselines.progressive_descent_ascent import ProgressiveDescentAscent, ProgressiveSettings
from convexwgan.models.image_directory import ImageDirectory
from convexwgan.models.pyramid import average_pool, check_resolutions
from convexwgan.report.image_features import InceptionFeatures, as_images
from convexwgan.report.images import image_grid
from convexwgan.report.quality import image_quality
from convexwgan.report.style import new_axes, save

Images = npt.NDArray[Any]

PAPER = {
    "statement": "Table 3: FID of 1,000 generated CelebA images against 50,000, three runs; Section 5.2: wall-clock.",
    "progressive_descent_ascent": {"fid": "194.1 ± 4.5", "seconds": "11696 ± 81 (two Titan Xp)"},
    "procogan, β_d = (…, 7.2e3, 1.0e4)": {"fid": "128.4 ± 0.4", "seconds": "153 ± 3 (one Titan Xp)"},
    "procogan, β_d = (…, 1.9e4, 3.3e4)": {"fid": "147.1 ± 2.4"},
    "time_ratio": 76.4,
}
WIDTHS = {4: 192, 8: 192, 16: 768, 32: 3092, 64: 3092}
"""Neurons of the paper's discriminators by the side of the images."""


def read_fashion(folder: Path) -> Images:
    """The 60,000 training images of Fashion-MNIST, (n, 28, 28, 1) uint8, from its gzipped idx file."""
    with gzip.open(folder / "train-images-idx3-ubyte.gz") as stream:
        magic, n, height, width = np.frombuffer(stream.read(16), dtype=">u4")
        assert magic == 0x803, f"{folder} does not hold an idx file of images"
        return np.frombuffer(stream.read(), dtype=np.uint8).reshape(int(n), int(height), int(width), 1)


def read_faces() -> Images:
    """The 100 faces of scikit-image's lfw_subset, its 25 × 25 pixels cut to the first 24 × 24."""
    from skimage.data import lfw_subset

    return np.asarray(lfw_subset()[:100, :24, :24, None], dtype=np.float64)


def read_digits() -> Images:
    """The 1,797 digits of scikit-learn, 8 × 8."""
    from sklearn.datasets import load_digits

    return np.asarray(load_digits().images[..., None] / 16.0)


def levels_of(images: Images, sides: tuple[int, ...]) -> list[npt.NDArray[np.float32]]:
    """The pooled images of every stage: what descent–ascent is trained on."""
    scale = 255.0 if images.dtype == np.uint8 else 1.0
    full = images.astype(np.float32) / np.float32(scale)
    return [np.ascontiguousarray(average_pool(full, images.shape[1] // side)) for side in sides]


def closed_form(images: Images, sides: tuple[int, ...], arguments: argparse.Namespace, seed: int) -> dict[str, Any]:
    """One timed fit; its certificates say how exact it is."""
    model = ProCoGAN(
        resolutions=sides, components=arguments.components, latent_dim=arguments.latent_dim, random_state=seed
    )
    start = time.perf_counter()
    model.fit(images)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "model": model, "certificates": certificates_of(model)}


def certificates_of(model: Any) -> list[dict[str, Any]]:
    """Status and violation of every stage."""
    return [
        {"status": certificate.status.value, "violation": certificate.violation, "scope": certificate.scope}
        for certificate in model.certificates_
    ]


def descent_ascent(levels: list[Any], settings: ProgressiveSettings, seed: int) -> dict[str, Any]:
    """One timed run."""
    start = time.perf_counter()
    model = ProgressiveDescentAscent(replace(settings, seed=seed)).fit(levels)
    steps = [run.steps for run in model.runs_]
    return {"seconds": time.perf_counter() - start, "model": model, "steps": steps}


def judged(result: dict[str, Any], real: Images, arguments: argparse.Namespace, extractor: Any) -> dict[str, Any]:
    """The numbers of one run: quality on fresh samples, model dropped."""
    fake = result["model"].sample(arguments.generated, rng=10_000)
    quality = image_quality(real, np.asarray(fake), extractor=extractor)
    return {name: value for name, value in result.items() if name != "model"} | quality.as_dict()


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over the seeds."""
    found: dict[str, Any] = {}
    for name in ("seconds", "frechet", "precision", "recall", "memorized_share", "nearest_ratio"):
        values = [float(row[name]) for row in rows]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        found[name] = {"mean": statistics.fmean(values), "std": spread}
    return found


def experiment(name: str, images: Images, arguments: argparse.Namespace) -> dict[str, Any]:
    """The whole protocol on one data set."""
    extractor = None if arguments.inception is None else InceptionFeatures(arguments.inception)
    sides = check_resolutions(arguments.resolutions, images.shape[1])
    levels = levels_of(images, sides)
    widths = tuple(WIDTHS[min(WIDTHS, key=lambda known: abs(known - side))] for side in sides)
    real = np.asarray(images[: arguments.real])
    split = max(len(images) // 2, len(images) - arguments.generated)
    floor = image_quality(np.asarray(images[: min(split, arguments.real)]), images[split:], extractor=extractor)
    settings = ProgressiveSettings(
        widths=widths, latent_dim=arguments.latent_dim, output_penalty=arguments.output_penalty
    )
    seeds = range(arguments.seeds)

    warm = images[: 2 * arguments.latent_dim]  # imports and first calls are in nobody's time
    closed_form(warm, sides, argparse.Namespace(components=None, latent_dim=arguments.latent_dim), 0)
    descent_ascent(levels_of(warm, sides), replace(settings, steps=2), 0)
    fits = [closed_form(images, sides, arguments, seed) for seed in seeds]
    seconds = statistics.median(fit["seconds"] for fit in fits)
    rows: dict[str, list[dict[str, Any]]] = {"closed form": [judged(fit, real, arguments, extractor) for fit in fits]}
    pictures = {"Real": real[:36], "Closed form": fits[0]["model"].sample(36, rng=1)}
    budgets: list[tuple[str, ProgressiveSettings, int]] = [
        ("descent–ascent, equal time", replace(settings, steps=None, seconds=seconds), arguments.seeds),
        ("descent–ascent, 10 × the time", replace(settings, steps=None, seconds=10 * seconds), arguments.seeds),
    ]
    if arguments.full:
        budgets.append(("descent–ascent, 15,000 steps a stage", settings, arguments.full))
    for label, budget, repeats in budgets:
        runs = [descent_ascent(levels, budget, seed) for seed in range(repeats)]
        print(label, [round(run["seconds"], 1) for run in runs], flush=True)
        rows[label] = [judged(run, real, arguments, extractor) for run in runs]
        pictures[label] = runs[0]["model"].sample(36, rng=1)
        print(label, {k: round(v["mean"], 4) for k, v in summary(rows[label]).items()}, flush=True)
    draw(pictures, images.shape[1:], arguments.out.with_name(f"{arguments.out.name}_{name}.png"))
    return {
        "data": name,
        "n": len(images),
        "sides": list(sides),
        "components": [int(stage.components) for stage in fits[0]["model"].stages_],
        "settings": asdict(settings),
        "real_against_real": floor.as_dict(),
        "summary": {label: summary(runs) for label, runs in rows.items()},
        "runs": rows,
        "time_ratio": {
            label: summary(runs)["seconds"]["mean"] / summary(rows["closed form"])["seconds"]["mean"]
            for label, runs in rows.items()
        },
    }


def draw(pictures: dict[str, Any], shape: tuple[int, ...], path: Path) -> None:
    """36 images of each method beside real ones."""
    axes = new_axes(4.0 * len(pictures), 4.3, columns=len(pictures))
    tile = (shape[0], shape[1]) if shape[2] == 1 else (shape[0], shape[1], 3)
    for ax, (title, images) in zip(axes, pictures.items(), strict=True):
        image_grid(as_images(np.asarray(images), title).reshape(len(images), -1), tile, ax, columns=6, title=title)
    save(axes[0], path, dpi=80)


def table(result: dict[str, Any]) -> str:
    """Markdown."""
    lines = [
        "| method | seconds | time ratio | Fréchet distance | precision | recall | memorised |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for label, found in result["summary"].items():
        text = {name: f"{value['mean']:.3g} ± {value['std']:.1g}" for name, value in found.items()}
        ratio = f"{result['time_ratio'][label]:.3g}×"
        lines.append(
            f"| {label} | {text['seconds']} | {ratio} | {text['frechet']} | {text['precision']} | {text['recall']} "
            f"| {text['memorized_share']} |"
        )
    floor = result["real_against_real"]
    lines.append(
        f"| other real images | | | {floor['frechet']:.3g} | {floor['precision']:.3g} | {floor['recall']:.3g} "
        f"| {floor['memorized_share']:.3g} |"
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--fashion", type=Path, metavar="DIR", help="folder of Fashion-MNIST's gzipped idx files")
    parser.add_argument("--directory", type=Path, metavar="DIR", help="any folder of JPEG or PNG files")
    parser.add_argument("--faces", action="store_true")
    parser.add_argument("--digits", action="store_true")
    parser.add_argument("--size", type=int, default=64, help="side of the images of --directory")
    parser.add_argument("--resolutions", type=int, nargs="+")
    parser.add_argument("--components", type=int, nargs="+", help="one number a stage")
    parser.add_argument("--latent-dim", type=int, default=48)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--full", type=int, default=0, metavar="RUNS", help="runs of 15,000 steps a stage")
    parser.add_argument("--output-penalty", type=float, default=100.0, help="β_g·d of descent–ascent; paper: 100")
    parser.add_argument("--real", type=int, default=5_000, help="real images that metrics compare with")
    parser.add_argument("--generated", type=int, default=1_000, help="generated images; the paper takes 1,000")
    parser.add_argument("--inception", type=Path, help="weights for the standard FID")
    parser.add_argument("--limit", type=int, help="use only so many images")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/table3"))
    arguments = parser.parse_args()

    readers: dict[str, tuple[Any, Callable[[], Images]]] = {
        "fashion": (arguments.fashion, lambda: read_fashion(arguments.fashion)),
        "directory": (arguments.directory, lambda: np.asarray(ImageDirectory(arguments.directory, arguments.size))),
        "faces": (arguments.faces, read_faces),
        "digits": (arguments.digits, read_digits),
    }
    chosen = [(name, read) for name, (wanted, read) in readers.items() if wanted]
    if not chosen:
        parser.error("name some images: --fashion, --directory, --faces or --digits")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    for name, read in chosen:
        images = read()[: arguments.limit]
        result = experiment(name, images, arguments) | {
            "paper": PAPER,
            "command": sys.argv,
            "cpus": os.cpu_count(),
            "load": os.getloadavg(),
            "threads": os.environ.get("OMP_NUM_THREADS", "default"),
            "python": platform.python_version(),
        }
        path = arguments.out.with_name(f"{arguments.out.name}_{name}")
        path.with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        path.with_suffix(".md").write_text(table(result) + "\n", encoding="utf-8")
        print(table(result))


if __name__ == "__main__":
    main()
