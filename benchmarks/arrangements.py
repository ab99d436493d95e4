"""Cells of hyperplane arrangements: ours, incremental enumeration by linear programs, and random sampling.

    python benchmarks/arrangements.py --out benchmarks/results/arrangements.json

Three methods on the same Gaussian rows, timed in turns:

* ours: ``enumerate_cells``, all the cells with rays and facets; the list is then proved complete.
* linear programs: incremental enumeration after Rada and Černý (SIAM J. Discrete Math. 32, 2018), depth first,
  one child of each node free through its witness point, HiGHS hot-started from the parent's basis. Patterns
  only. It gets a time budget and may not finish: its cells per second are those of the budget.
* sampling: what published convex-network codes do, random Gaussian gates with duplicates removed; as many
  samples as fit into our own time. No sampling can know that it has finished.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
import tracemalloc
from importlib.metadata import version
from pathlib import Path
from typing import Any

import highspy
import numpy as np

from convexwgan.geometry.arrangements import Arrangement, cell_count_formula, enumerate_cells, sample_cells
from convexwgan.geometry.exhaustive import check_exhaustive

SIZES = ((1000, 2), (200, 3), (60, 4))
COLUMNS = (
    "n",
    "r",
    "cells",
    "seconds",
    "ours, cells/s",
    "pattern bytes/cell",
    "all bytes/cell",
    "peak bytes/cell",
    "linear programs, cells/s",
    "times faster",
    "sampled in our time",
)


class IncrementalEnumeration:
    """Rada and Černý's tree: level k holds the cells of the first k rows; a child is kept if it is not empty."""

    def __init__(self, Z: np.ndarray) -> None:
        self.Z, self.cells, self.programs = Z, 0, 0
        r = Z.shape[1]
        self.model = highspy.Highs()  # type: ignore[no-untyped-call]
        self.model.setOptionValue("output_flag", False)
        for _ in range(r):
            self.model.addVar(-1.0, 1.0)
        self.model.addVar(-1.0, 1.0)  # the margin t
        self.model.changeColCost(r, -1.0)
        self.columns = np.arange(r + 1, dtype=np.int32)

    def add(self, row: int, sign: float) -> None:
        """sign · z_rowᵀu − t ≥ 0."""
        values = np.append(sign * self.Z[row], -1.0)
        self.model.addRow(0.0, highspy.kHighsInf, len(values), self.columns, values)

    def witness(self) -> np.ndarray | None:
        """A point with the signs of the present rows, at the largest margin; None where there is none."""
        self.model.run()
        self.programs += 1
        solution = np.array(self.model.getSolution().col_value)
        return solution[:-1] if solution[-1] > 1e-9 else None

    def run(self, seconds: float) -> bool:
        """Descend until all the cells are counted (True) or the time is over (False)."""
        end = time.perf_counter() + seconds
        stack: list[tuple[int, float, np.ndarray | None]] = [(0, 1.0, None), (0, -1.0, None)]
        while stack and time.perf_counter() < end:
            row, sign, point = stack.pop()
            present = self.model.getNumRow()
            if present > row:
                self.model.deleteRows(present - row, np.arange(row, present, dtype=np.int32))
            self.add(row, sign)
            if point is None:
                point = self.witness()
            if point is None:
                continue
            if row + 1 == len(self.Z):
                self.cells += 1
                continue
            side = 1.0 if self.Z[row + 1] @ point > 0.0 else -1.0
            stack += [(row + 1, -side, None), (row + 1, side, point)]
        return not stack


def bytes_of(arrangement: Arrangement) -> tuple[int, int]:
    """Bytes of the patterns alone, and of everything that the arrangement stores."""
    lists = (arrangement.cell_rays, arrangement.ray_hyperplanes, arrangement.cell_hyperplanes)
    rest = sum(part.indptr.nbytes + part.indices.nbytes for part in lists) + arrangement.reduced_rays.nbytes
    return arrangement.words.nbytes, arrangement.words.nbytes + rest


def peak_bytes(Z: np.ndarray) -> int:
    """The most memory that arrays took at any moment of the enumeration."""
    tracemalloc.start()
    enumerate_cells(Z)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def sampled_within(Z: np.ndarray, seconds: float) -> tuple[int, int]:
    """Cells and samples of the largest sample, in doublings, that took at most the given time."""
    samples, found = 256, (0, 0)
    while True:
        start = time.perf_counter()
        count = sample_cells(Z, samples, rng=samples).count
        if time.perf_counter() - start > seconds:
            return found
        found, samples = (count, samples), 2 * samples


def measure(n: int, r: int, repeat: int, budget: float) -> dict[str, Any]:
    """All three methods on one instance, ours and the linear programs in turns."""
    Z = np.random.default_rng([n, r]).standard_normal((n, r))
    enumerate_cells(Z[: r + 1])  # what is imported once is no part of the measurement
    ours: list[float] = []
    rates: list[float] = []
    for _ in range(repeat):
        start = time.perf_counter()
        arrangement = enumerate_cells(Z)
        ours.append(time.perf_counter() - start)
        peer = IncrementalEnumeration(Z)
        start = time.perf_counter()
        has_finished = peer.run(budget)
        rates.append(peer.cells / (time.perf_counter() - start))
    seconds = statistics.median(ours)
    patterns, everything = bytes_of(arrangement)
    sampled, samples = sampled_within(Z, seconds)
    failed = [check.name for check in check_exhaustive(arrangement) if not check.holds]
    return {
        "n": n,
        "r": r,
        "cells": arrangement.count,
        "formula": cell_count_formula(n, r),
        "failed_checks": failed,
        "seconds": ours,
        "cells_per_second": arrangement.count / seconds,
        "pattern_bytes_per_cell": patterns / arrangement.count,
        "bytes_per_cell": everything / arrangement.count,
        "peak_bytes_per_cell": peak_bytes(Z) / arrangement.count,
        "linear_programs_cells_per_second": rates,
        "linear_programs_finished": has_finished,
        "linear_programs_budget_seconds": budget,
        "sampled_cells": sampled,
        "samples": samples,
        "sampled_share": sampled / arrangement.count,
    }


def markdown(results: list[dict[str, Any]]) -> str:
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + " ---: |" * len(COLUMNS)]
    for row in results:
        rate = statistics.median(row["linear_programs_cells_per_second"])
        cells = (
            f"{row['n']:,}",
            str(row["r"]),
            f"{row['cells']:,}",
            f"{statistics.median(row['seconds']):.3f}",
            f"{row['cells_per_second']:,.0f}",
            f"{row['pattern_bytes_per_cell']:.0f}",
            f"{row['bytes_per_cell']:.0f}",
            f"{row['peak_bytes_per_cell']:.0f}",
            f"{rate:,.0f}" + ("" if row["linear_programs_finished"] else " (not finished)"),
            f"{row['cells_per_second'] / rate:,.0f}" if rate > 0.0 else "none found",
            f"{100 * row['sampled_share']:.0f} %",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeat", type=int, default=5, help="rounds of turns")
    parser.add_argument("--budget", type=float, default=5.0, help="seconds for the linear programs in each round")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/arrangements.json"))
    arguments = parser.parse_args()

    results = [measure(n, r, arguments.repeat, arguments.budget) for n, r in SIZES]
    table = markdown(results)
    print(table)
    packages = {package: version(package) for package in ("numpy", "scipy", "highspy")}
    summary = {
        "results": results,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": packages,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    arguments.out.with_suffix(".md").write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
