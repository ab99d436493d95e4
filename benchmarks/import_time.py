"""How long `import convexwgan` takes, against `import cvxpy`, each in fresh interpreters.

    python benchmarks/import_time.py --repeat 15 --out benchmarks/results/import_time.json

`import convexwgan` fetches nothing until a name is used, so the names of the five-minute example are measured
too: that is what a user waits for. The imports take turns, after one unmeasured round to fill the disk cache;
medians are reported. What a process loads before (the interpreter itself) is in no number.
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
from typing import Any

NAMES = "from convexwgan import Discriminator, Generator, Latent, Problem, Regularizer, Solution, verify"
STATEMENTS = {
    "convexwgan": "import convexwgan",
    "convexwgan's names": NAMES,
    "cvxpy": "import cvxpy",
    "numpy": "import numpy",
}
PROBE = "import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"


def import_seconds(statement: str) -> float:
    """Wall time of one import in a fresh interpreter."""
    command = [sys.executable, "-c", PROBE.format(statement=statement)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def measure(repeat: int) -> dict[str, list[float]]:
    for statement in STATEMENTS.values():
        import_seconds(statement)
    seconds: dict[str, list[float]] = {label: [] for label in STATEMENTS}
    for _ in range(repeat):
        for label, statement in STATEMENTS.items():
            seconds[label].append(import_seconds(statement))
    return seconds


def summary(seconds: dict[str, list[float]]) -> dict[str, Any]:
    medians = {label: statistics.median(times) for label, times in seconds.items()}
    return {
        "statements": STATEMENTS,
        "median_seconds": medians,
        "ratio_to_cvxpy": {label: median / medians["cvxpy"] for label, median in medians.items()},
        "seconds": seconds,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": {package: version(package) for package in ("cvxpy", "numpy")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeat", type=int, default=15, help="measured imports of each")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/import_time.json"))
    arguments = parser.parse_args()

    result = summary(measure(arguments.repeat))
    print(f"median of {arguments.repeat} fresh interpreters")
    for label, seconds in result["median_seconds"].items():
        ratio = result["ratio_to_cvxpy"][label]
        print(f"{label:<19} {1e3 * seconds:8.1f} ms   {ratio:6.3f} of import cvxpy")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
