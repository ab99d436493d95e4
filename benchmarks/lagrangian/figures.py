"""Pictures and the table of the mode experiments, from the JSON and NPZ files that run.py and toy.py wrote.

python benchmarks/lagrangian/figures.py benchmarks/results/lagrangian{,_toy,_grid,_digits,_fashion}.json \\
    --table benchmarks/results/lagrangian.md
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from convexwgan.report.style import CUT, GENERATED, REAL, new_axes, save, tidy

FIGURES = Path("docs/figures")
METHODS = ("lagrangian", "non-saturating", "wgan-gp")
CONTROL = "no-dual-term"
ALL = (*METHODS, CONTROL)
MEASURES = ("reached", "covered", "quality", "kl", "frechet", "cpu_seconds")
GOALS = {"ring": (8, 9), "grid": (23, 8)}
LIMITS = {"ring": 2.6, "grid": 5.2}


def interval(values: list[float]) -> str:
    """Mean ± half the width of the 95 % t interval."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return f"{mean:.3g}"
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return f"{mean:.3g} ± {half:.2g}"


def table(results: list[dict[str, Any]]) -> str:
    """One row a task and method; the goal counted by modes reached, and in brackets by modes covered."""
    heads = "| task | method | seeds | goal met in | reached | covered | high quality | KL | Fréchet | CPU seconds |"
    lines = [heads, "|" + "---|" * 10]
    for task in dict.fromkeys(row["task"] for row in results):
        for method in ALL:
            rows = [row for row in results if (row["task"], row["method"]) == (task, method)]
            if rows:
                met = goal_met(rows, GOALS[task][0]) if task in GOALS else "–"
                cells = " | ".join(interval([row[name] for row in rows]) for name in MEASURES)
                lines.append(f"| {task} | {method} | {len(rows)} | {met} | {cells} |")
    return "\n".join(lines) + "\n"


def differences(results: list[dict[str, Any]]) -> str:
    """LagrangianGAN minus each other method on the same seeds, mean and 95 % interval."""
    lines = ["| task | LagrangianGAN minus | high quality | KL | Fréchet |", "|" + "---|" * 5]
    for task in dict.fromkeys(row["task"] for row in results if row["method"] == CONTROL):
        fits = {(row["method"], row["seed"]): row for row in results if row["task"] == task}
        for other in ALL[1:]:
            seeds = [seed for method, seed in fits if method == other and (METHODS[0], seed) in fits]
            pairs = [(fits[METHODS[0], seed], fits[other, seed]) for seed in seeds]
            cells = " | ".join(interval([a[key] - b[key] for a, b in pairs]) for key in ("quality", "kl", "frechet"))
            lines.append(f"| {task} | {other} | {cells} |")
    return "\n".join(lines) + "\n"


def goal_met(rows: list[dict[str, Any]], modes: int) -> str:
    """Seeds with so many modes reached, (covered), of all."""
    reached, covered = (sum(row[name] >= modes for row in rows) for name in ("reached", "covered"))
    return f"{reached} ({covered}) of {len(rows)}"


def draw_points(name: str, pictures: Any, path: Path) -> None:
    """Data and the samples of each method, first seed, in the plane."""
    kinds = [kind for kind in ("data", *ALL) if f"{name}/{kind}" in pictures]
    axes = new_axes(3.3 * len(kinds), 3.6, columns=len(kinds))
    for ax, kind in zip(axes, kinds, strict=True):
        points = pictures[f"{name}/{kind}"]
        ax.plot(*points.T, ".", markersize=2.5, alpha=0.5, color=REAL if kind == "data" else GENERATED)
        ax.set_title(kind, loc="left", fontsize=11)
        ax.set_xlim(-LIMITS[name], LIMITS[name])
        ax.set_ylim(-LIMITS[name], LIMITS[name])
        ax.set_aspect("equal")
        ax.set_xticks([])
        ax.set_yticks([])
    save(axes[0], path)


def draw_images(name: str, pictures: Any, path: Path) -> None:
    """64 images each, in squares of 8 × 8, two white pixels apart."""
    kinds = [kind for kind in ("data", *ALL) if f"{name}/{kind}" in pictures]
    axes = new_axes(3.3 * len(kinds), 3.6, columns=len(kinds))
    for ax, kind in zip(axes, kinds, strict=True):
        images = np.clip(pictures[f"{name}/{kind}"][:64], 0.0, 1.0)
        images = np.pad(images, ((0, 0), (1, 1), (1, 1)))
        side = images.shape[1]
        ax.imshow(images.reshape(8, 8, side, side).swapaxes(1, 2).reshape(8 * side, 8 * side), cmap="gray_r")
        ax.set_title(kind, loc="left", fontsize=11)
        ax.set_axis_off()
    save(axes[0], path)


def draw_toy(found: dict[str, Any], path: Path) -> None:
    """Mean of the samples against optimiser steps, all seeds."""
    (ax,) = new_axes(6.4, 3.6)
    for method, colour, dash in zip(METHODS, (GENERATED, REAL, CUT), ("-", "--", ":"), strict=True):
        for index, run in enumerate(found["seeds"].values()):
            mean = run[method]["mean"]
            steps = run[method]["steps"] * np.arange(1, len(mean) + 1) / len(mean)
            ax.plot(steps, mean, dash, color=colour, linewidth=1.4, label=method if index == 0 else None)
    tidy(ax, "one atom at 3, a discriminator without slope", "optimiser steps", "mean of the samples")
    ax.legend(frameon=False)
    save(ax, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--table", type=Path, required=True)
    given = parser.parse_args()
    results: list[dict[str, Any]] = []
    pictures: dict[str, np.ndarray] = {}  # files of the same task, one for each method, go into one picture
    for file in given.files:
        found = json.loads(file.read_text(encoding="utf-8"))
        if "results" not in found:
            draw_toy(found, FIGURES / "lagrangian_toy.png")
            continue
        results += found["results"]
        if not file.with_suffix(".npz").is_file():  # the run was interrupted: it has numbers but no pictures
            continue
        with np.load(file.with_suffix(".npz")) as arrays:
            pictures.update(arrays)
    for name in dict.fromkeys(key.split("/")[0] for key in pictures):
        draw = draw_points if name in LIMITS else draw_images
        draw(name, pictures, FIGURES / f"lagrangian_{name}.png")
    text = table(results) + "\n" + differences(results)
    given.table.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
