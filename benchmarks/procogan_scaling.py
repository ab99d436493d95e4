"""Time and peak memory of one stage against n and d, with fitted exponents, and the constants of the cost model.

    OMP_NUM_THREADS=1 python benchmarks/procogan_scaling.py \\
        --out benchmarks/results/procogan_scaling.json --plot docs/figures/procogan_scaling.png

Every point runs in a process of its own (peak memory is the process's), on data that are mapped from disk.
CPU seconds, so that a busy machine does not bend the lines.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

NS = (2_000, 4_000, 8_000, 16_000)
SIDES = (24, 32, 48, 64)
COMPONENTS = 40


def point(path: str) -> dict[str, float]:
    """One stage, fitted in this process."""
    from convexwgan import ProCoGAN

    images = np.load(path, mmap_mode="r")
    before, start, wall = peak(), time.process_time(), time.perf_counter()
    model = ProCoGAN((images.shape[1],), (COMPONENTS,), random_state=0, memory_budget=1 << 28).fit(images)
    return {
        "n": len(images),
        "d": int(np.prod(images.shape[1:])),
        "cpu_seconds": time.process_time() - start,
        "seconds": time.perf_counter() - wall,
        "peak_bytes": peak() - before,
        "violation": model.certificates_[0].violation,
    }


def peak() -> int:
    """VmHWM of this process in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def measure(n: int, side: int) -> dict[str, float]:
    from procogan import natural_images

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        np.save(path, natural_images(n, side, 0))
        command = [sys.executable, __file__, "--point", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    print(json.dumps(result), flush=True)
    return result


def exponent(points: list[dict[str, float]], x: str, y: str) -> float:
    """The slope of log y against log x."""
    slope, _ = np.polyfit(np.log([p[x] for p in points]), np.log([p[y] for p in points]), 1)
    return float(slope)


def plot(result: dict[str, Any], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6))
    for axis, (name, x) in zip(axes, (("against_n", "n"), ("against_d", "d")), strict=True):
        points, fitted = result[name], result["exponents"][name]
        xs = [p[x] for p in points]
        axis.loglog(xs, [p["cpu_seconds"] for p in points], "o-", label=f"CPU seconds, {x}^{fitted['cpu_seconds']:.2f}")
        megabytes = [p["peak_bytes"] / 2**20 for p in points]
        axis.loglog(xs, megabytes, "s--", label=f"peak MiB, {x}^{fitted['peak_bytes']:.2f}")
        axis.set_xlabel(x)
        axis.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--point", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="smaller points, a minute on a quiet core")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    if options.point:
        print(json.dumps(point(options.point)))
        return
    ns, sides, n = ((1000, 2000, 4000), (20, 28, 40), 1500) if options.quick else (NS, SIDES, 3000)
    against = {
        "against_n": [measure(m, 24 if options.quick else 32) for m in ns],
        "against_d": [measure(n, side) for side in sides],
    }
    result: dict[str, Any] = {
        "components": COMPONENTS,
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        **against,
        "exponents": {
            name: {y: exponent(points, x, y) for y in ("cpu_seconds", "peak_bytes")}
            for (name, points), x in zip(against.items(), ("n", "d"), strict=True)
        },
    }
    print(json.dumps(result["exponents"]))
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if options.plot:
        plot(result, options.plot)


if __name__ == "__main__":
    main()
