"""How long `import convexwgan` takes, against `import cvxpy`, each in fresh interpreters.

    python benchmarks/import_time.py --repeat 15 --out benchmarks/results/import_time.json

The two imports take turns, after one unmeasured round that fills the disk cache; medians are reported. What a
process loads before the first import (the interpreter itself) is in neither number.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("convexwgan", "cvxpy", "numpy")
PROBE = "import time; t = time.perf_counter(); import {package}; print(time.perf_counter() - t)"


def import_seconds(package: str) -> float:
    """Wall time of one import in a fresh interpreter."""
    command = [sys.executable, "-c", PROBE.format(package=package)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def measure(repeat: int) -> dict[str, list[float]]:
    for package in PACKAGES:
        import_seconds(package)
    seconds: dict[str, list[float]] = {package: [] for package in PACKAGES}
    for _ in range(repeat):
        for package in PACKAGES:
            seconds[package].append(import_seconds(package))
    return seconds


def summary(seconds: dict[str, list[float]]) -> dict[str, object]:
    medians = {package: statistics.median(times) for package, times in seconds.items()}
    return {
        "median_seconds": medians,
        "ratio_to_cvxpy": medians["convexwgan"] / medians["cvxpy"],
        "seconds": seconds,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": {package: version(package) for package in PACKAGES},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeat", type=int, default=15, help="measured imports of each package")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/import_time.json"))
    arguments = parser.parse_args()

    result = summary(measure(arguments.repeat))
    medians = result["median_seconds"]
    assert isinstance(medians, dict)
    for package, seconds in medians.items():
        print(f"import {package:<11} {1e3 * seconds:8.1f} ms  (median of {arguments.repeat})")
    print(f"ratio to cvxpy     {result['ratio_to_cvxpy']:8.3f}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
