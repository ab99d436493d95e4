"""The same tuning for every method on images: six settings each (image_settings.py), the same budget, own seeds.

Chosen is the lowest mean Fréchet distance; run.py's CHOSEN names it. Fits that the file already holds are not repeated.

python benchmarks/lagrangian/tune.py digits --out benchmarks/results/lagrangian_tuning_digits.json
python benchmarks/lagrangian/tune.py fashion --fashion DIR --out benchmarks/results/lagrangian_tuning_fashion.json
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
from image_settings import GRID
from run import BUDGET, SHARED, measure, task_of

SEEDS = {"digits": (200, 201), "fashion": (200,)}
MEASURES = ("reached", "quality", "kl", "frechet")


def table(name: str, results: list[dict[str, Any]]) -> str:
    """One row a setting: means over the seeds; the best of a method is marked."""
    lines = ["| task | method | setting | " + " | ".join(MEASURES) + " |", "|" + "---|" * (3 + len(MEASURES))]
    for method, choices in GRID.items():
        means = [
            {key: float(np.mean([fit[key] for fit in results if fit["at"] == [method, place]])) for key in MEASURES}
            for place in range(len(choices))
        ]
        best = min(range(len(choices)), key=lambda place: means[place]["frechet"])
        for place, found in enumerate(means):
            text = ", ".join(f"{key} {value}" for key, value in choices[place].items())
            cells = " | ".join(f"{found[key]:.3g}" for key in MEASURES)
            lines.append(f"| {name} | {method} | {place}: {text}{' **chosen**' if place == best else ''} | {cells} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("digits", "fashion"))
    parser.add_argument("--fashion", type=Path, help="folder with train-images-idx3-ubyte[.gz] and the labels")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    results: list[dict[str, Any]] = []
    if given.out.is_file():
        results = json.loads(given.out.read_text(encoding="utf-8"))["results"]
    for seed in SEEDS[given.task]:
        task = task_of(given.task, seed, given.fashion)
        for method, choices in GRID.items():
            for place, settings in enumerate(choices):
                if any((fit["at"], fit["seed"]) == ([method, place], seed) for fit in results):
                    continue
                numbers, _ = measure(task, given.task, method, settings, seed)
                results.append({"at": [method, place], "seed": seed, **numbers})
                print(method, place, seed, numbers, flush=True)
                found = {"grid": GRID, "budget": BUDGET[given.task], "shared": SHARED[given.task], "results": results}
                given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    text = table(given.task, results)
    given.out.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    main()
