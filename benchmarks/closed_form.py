"""The closed form of quadratic × linear × output against Clarabel and SCS on the same problem, in one process.

    python benchmarks/closed_form.py --quick                       # a minute
    python benchmarks/closed_form.py --json benchmarks/results/closed_form.json

Problem: min (β_g/2)‖ZW‖_F² s.t. ‖XᵀX − (ZW)ᵀZW‖₂ ≤ β_d, with X and Z standard normal of shape (10 d, d), β_d the
median eigenvalue of XᵀX. Clarabel and SCS get it as `covariance_program`, two d × d blocks, through
`Problem.solve(method="conic")`, at the library's default tolerance.

The contenders take turns within a round; before the first round each has run once, unmeasured. Medians are
reported, of wall time and of process time (all threads of this process: less sensitive to what else the machine
does). BLAS threads are fixed, and each number of threads is a table of its own; sizes that take minutes are in the
first only. Clarabel's own worker threads are not limited. A conic solve that would take longer than the cap, by the
growth of the sizes before it, or more memory than is free, is skipped, and the table says so.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import json
import os
import platform
import pstats
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import scs  # noqa: F401  loaded before the thread limits are set, so that they reach its BLAS too
from threadpoolctl import threadpool_info, threadpool_limits  # type: ignore[import-untyped]

from convexwgan import Discriminator, Generator, Problem, Regularizer, Solution
from convexwgan.solvers.conic import available_bytes, covariance_program, run
from convexwgan.solvers.memory import predicted_memory
from convexwgan.theory.data import GameData

GOALS = {10: 5.0, 20: 50.0, 40: 300.0}
"""Whole solve against Clarabel: at least this many times faster."""
COMPARED, LARGER = (10, 20, 40, 80), (160, 320, 640, 1000, 2000)
PACKAGES = ("numpy", "scipy", "cvxpy", "clarabel", "scs", "convexwgan")
PROFILE_SOLVES = 200
LONG = 20.0
"""Seconds of a conic solve beyond which its solver is not run a second time to be timed alone."""
CLOSED_FORM = ("eigendecompositions", "kernel", "explain", "solve", "solve again")

Task = Callable[[], Any]


@dataclass
class Clock:
    """Wall and process seconds of one contender."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    note: str = ""

    def measure(self, task: Task) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        result = task()
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)
        return result

    @property
    def seconds(self) -> float:
        """Median wall time; nan when it never ran."""
        return statistics.median(self.wall) if self.wall else float("nan")

    def as_dict(self) -> dict[str, Any]:
        if not self.wall:
            return {"note": self.note}
        quartiles = np.quantile(self.wall, [0.25, 0.75]).tolist()
        result = {
            "wall": self.seconds,
            "cpu": statistics.median(self.cpu) if self.cpu else None,
            "quartiles": quartiles,
            "runs": len(self.wall),
        }
        return result | ({"note": self.note} if self.note else {})


# ---- the contenders --------------------------------------------------------------------------------------------


def instance(d: int) -> tuple[Any, np.ndarray, np.ndarray]:
    """(wgan, X, Z) of size d; the same for every run."""
    rng = np.random.default_rng(d)
    X, Z = rng.standard_normal((10 * d, d)), rng.standard_normal((10 * d, d))
    beta = float(np.median(np.linalg.eigvalsh(X.T @ X)))
    return Discriminator.quadratic(beta=beta) + Generator.linear() + Regularizer.output(1.0), X, Z


def explained(parts: tuple[Any, np.ndarray, np.ndarray]) -> Problem:
    """A problem whose route is planned and whose data are factored, but that was never solved."""
    problem = Problem(*parts)
    problem.explain()
    return problem


def kernel(wgan: Any, X: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """Equation 15 in bare NumPy: two Gram matrices, two eigendecompositions, three products, no check of anything."""
    values, V = np.linalg.eigh(X.T @ X)
    lam, Q = np.linalg.eigh(Z.T @ Z)
    kept = values > wgan.players[0].beta
    roots = np.sqrt((values[kept] - wgan.players[0].beta) / lam[kept])
    W: np.ndarray = (Q[:, kept] * roots) @ V[:, kept].T
    return W


def eigendecompositions(X: np.ndarray, Z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two Gram matrices, whose bare eigendecompositions are the least that the formula needs."""
    return X.T @ X, Z.T @ Z


def conic_bytes(d: int) -> int:
    """What the library predicts that Clarabel needs."""
    problem = Problem(*instance(d))
    return predicted_memory(problem.route("conic").last, problem.n_fake, d, d)


def bare_solver(problem: Problem, solver: str, limit: float) -> float:
    """Seconds inside the conic solver alone, without CVXPY's compilation and without certificates."""
    M, beta = problem.X.T @ problem.X, problem.wgan.players[0].beta
    return run(covariance_program(M, beta=beta, strength=1.0), solver=solver, time_limit=limit).solver_seconds


# ---- one size --------------------------------------------------------------------------------------------------


@dataclass
class Row:
    """What was measured at one size with one number of threads."""

    d: int
    clocks: dict[str, Clock]
    stages: dict[str, float]
    values: dict[str, dict[str, Any]] = field(default_factory=dict)

    def speedup(self, solver: str) -> dict[str, float]:
        """How many times faster the whole `solve()` is than a conic solver's, by wall and by process time."""
        slow, fast = self.clocks[solver], self.clocks["solve"]
        return {
            "wall": statistics.median(slow.wall) / statistics.median(fast.wall),
            "cpu": statistics.median(slow.cpu) / statistics.median(fast.cpu),
        }

    def as_dict(self) -> dict[str, Any]:
        conic = [name for name in ("clarabel", "scs") if name in self.clocks and self.clocks[name].wall]
        return {
            "d": self.d,
            "seconds": {name: clock.as_dict() for name, clock in self.clocks.items()},
            "stages": self.stages,
            "times faster": {name: self.speedup(name) for name in conic},
            "solutions": self.values,
        }


def closed_form_rounds(d: int, parts: Any, clocks: dict[str, Clock], repeat: int) -> Solution:
    """The closed form's contenders, ``repeat`` turns; every turn solves a fresh problem, explained before "solve"."""
    M, A = eigendecompositions(*parts[1:])
    if d < 1000:  # seconds need no warm-up
        explained(parts).solve()
    for _ in range(repeat):
        clocks["eigendecompositions"].measure(lambda: (np.linalg.eigh(M), np.linalg.eigh(A)))
        clocks["kernel"].measure(lambda: kernel(*parts))
        problem = clocks["explain"].measure(lambda: explained(parts))
        solution: Solution = clocks["solve"].measure(problem.solve)
        clocks["solve again"].measure(problem.solve)
    return solution


def compare(d: int, rounds: int, inner: int, cap: float, predicted: dict[str, float]) -> Row:
    """Every contender at size d; ``rounds`` turns of the conic solvers, ``inner`` of the closed form in each."""
    parts = instance(d)
    clocks = {name: Clock() for name in CLOSED_FORM}
    row = Row(d, clocks, {})
    conic = list(_affordable(d, cap, predicted, clocks))
    for _ in range(rounds):
        solution = closed_form_rounds(d, parts, clocks, inner)
        row.values["closed form"] = _summary(solution, solution)
        for solver in conic:
            problem = explained(parts)
            found = clocks[solver].measure(lambda: problem.solve(method="conic", solver=solver.upper(), time_limit=cap))  # noqa: B023
            row.values[solver] = _summary(found, solution)
            if clocks[solver].seconds < LONG:
                clocks[f"{solver} alone"].wall.append(bare_solver(problem, solver.upper(), cap))
            else:
                clocks[f"{solver} alone"].note = "not run twice"
    row.stages = stages(parts, inner * rounds)
    return row


def _affordable(d: int, cap: float, predicted: dict[str, float], clocks: dict[str, Clock]) -> Iterator[str]:
    """The conic solvers that are expected to end within the cap and the memory; the others get a note."""
    for solver in ("clarabel", "scs"):
        clocks[solver], clocks[f"{solver} alone"] = Clock(), Clock()
        seconds, needed, free = predicted.get(solver, 0.0), conic_bytes(d), available_bytes()
        if seconds > cap:
            clocks[solver].note = f"skipped: {seconds:.0f} s predicted, cap {cap:.0f} s"
        elif needed > free:
            clocks[solver].note = f"skipped: {needed / 2**30:.1f} GiB predicted, {free / 2**30:.1f} free"
        else:
            explained(instance(2)).solve(method="conic", solver=solver.upper())  # imports and first-call costs
            yield solver


def _summary(found: Solution, closed: Solution) -> dict[str, Any]:
    return {
        "status": found.status.name,
        "relative gap": found.relative_gap,
        "value against closed form": found.value / closed.value - 1.0,
        "stopped": found.stats.stopped,
    }


def stages(parts: Any, repeat: int) -> dict[str, float]:
    """Median seconds of each stage: checks of the input, plan, the two factorisations, run, invert, certify."""
    clocks = {name: Clock() for name in ("input", "plan", "factorise X", "factorise Z")}
    solve: dict[str, list[float]] = {"run": [], "invert": [], "gather evidence": [], "certify": [], "rest of solve": []}
    for _ in range(repeat):
        problem = clocks["input"].measure(lambda: Problem(*parts))
        clocks["plan"].measure(lambda: problem.explain(data=False))  # noqa: B023
        data: GameData = problem.data
        clocks["factorise X"].measure(lambda: data.spectrum)  # noqa: B023
        clocks["factorise Z"].measure(lambda: data.latent_spectrum)  # noqa: B023
        evidence = Clock()
        evidence.measure(lambda: problem.evidence)  # noqa: B023
        whole = Clock()
        times = whole.measure(problem.solve).stats.times
        for name in ("run", "invert", "certify"):
            solve[name].append(times[name])
        solve["gather evidence"].append(evidence.seconds)
        solve["rest of solve"].append(whole.seconds - sum(times.values()))
    medians = {name: clock.seconds for name, clock in clocks.items()}
    return medians | {name: statistics.median(seconds) for name, seconds in solve.items()}


# ---- profile ---------------------------------------------------------------------------------------------------


def profile(d: int, solves: int = PROFILE_SOLVES) -> list[dict[str, Any]]:
    """The ten functions with the most time of their own in `solve()` (explain cached), milliseconds a solve."""
    parts = instance(d)
    problems = [explained(parts) for _ in range(solves)]
    profiler = cProfile.Profile()
    gc.collect()
    gc.disable()  # a collection would be booked on whichever function happens to run
    profiler.enable()
    for problem in problems:
        problem.solve()
    profiler.disable()
    gc.enable()
    found: Any = pstats.Stats(profiler)
    rows = sorted(found.stats.items(), key=lambda item: -item[1][2])[:10]
    return [
        {
            "function": f"{_short(file)}:{line} {name}" if line else name.strip("<>"),
            "calls": calls / solves,
            "own": 1e3 * own / solves,
            "total": 1e3 * total / solves,
        }
        for (file, line, name), (_, calls, own, total, _) in rows
    ]


def _short(file: str) -> str:
    parts = Path(file).parts
    for package in ("convexwgan", "numpy", "array_api_compat"):
        if package in parts:
            return "/".join(parts[len(parts) - 1 - parts[::-1].index(package) :])
    return parts[-1]


# ---- tables ----------------------------------------------------------------------------------------------------


def markdown(result: dict[str, Any]) -> str:
    machine = result["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    lines = [
        f"Quadratic × linear × output, n_r = n_f = 10 d, latent dimension d, float64. {machine['cores']} cores "
        f"({machine['processor']}), Python {machine['python']}, {versions}. Median wall milliseconds, process time in "
        "brackets.",
    ]
    for table in result["tables"]:
        lines += [
            "",
            f"### {table['threads']} BLAS thread{'s' if table['threads'] > 1 else ''}",
            "",
            f"Load of the machine when this table began: {table['load before']:.2f}.",
            "",
            *_main_table(table),
        ]
        lines += ["", "Where the time goes, milliseconds:", "", *_stage_table(table), ""]
        lines += [_shares(row) for row in table["rows"] if row["stages"]]
    lines += ["", f"### Profile of `solve()` at d = {result['profile']['d']}, explain cached", ""]
    lines += ["| function | calls a solve | own ms | with callees ms |", "|---|---|---|---|"]
    for row in result["profile"]["rows"]:
        lines.append(f"| `{row['function']}` | {row['calls']:.1f} | {row['own']:.4f} | {row['total']:.4f} |")
    return "\n".join(lines) + "\n"


def _main_table(table: dict[str, Any]) -> list[str]:
    head = ["d", "eigh of M and A", "eq 15 in NumPy", "Problem(), explain()", "**solve()**", "solve() again"]
    head += ["Clarabel", "its solver alone", "SCS", "its solver alone", "Clarabel / solve()", "goal", "SCS / solve()"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    names = (*CLOSED_FORM, "clarabel", "clarabel alone", "scs", "scs alone")
    for row in table["rows"]:
        cells = [str(row["d"]), *(_cell(row["seconds"].get(name)) for name in names)]
        faster, goal = row["times faster"], GOALS.get(row["d"])
        cells += [_times(faster.get("clarabel")), "" if goal is None else f"≥ {goal:g}×", _times(faster.get("scs"))]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _cell(clock: dict[str, Any] | None) -> str:
    if clock is None:
        return ""
    if "wall" not in clock:
        return str(clock["note"])
    cpu = "" if clock["cpu"] is None else f" ({_ms(clock['cpu'])})"
    return _ms(clock["wall"]) + cpu


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.3g}" if seconds < 1.0 else f"{1e3 * seconds:,.0f}"


def _times(ratio: dict[str, float] | None) -> str:
    return "" if ratio is None else f"{ratio['wall']:,.0f}× ({ratio['cpu']:,.0f}×)"


def _stage_table(table: dict[str, Any]) -> list[str]:
    names = list(table["rows"][0]["stages"])
    lines = ["| d | " + " | ".join(names) + " |", "|" + "---|" * (len(names) + 1)]
    for row in table["rows"]:
        if row["stages"]:
            lines.append(f"| {row['d']} | " + " | ".join(_ms(row["stages"][name]) for name in names) + " |")
    return lines


def _shares(row: dict[str, Any]) -> str:
    """The three dearest stages of one size in words."""
    whole = sum(row["stages"].values())
    dearest = sorted(row["stages"].items(), key=lambda item: -item[1])[:3]
    shares = ", ".join(f"{name} {100 * seconds / whole:.0f} %" for name, seconds in dearest)
    return f"* d = {row['d']}: of {_ms(whole)} ms from arrays to certificate, {shares}."


# ---- the run ---------------------------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "processor": _processor(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in PACKAGES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def one_table(threads: int, sizes: tuple[int, ...], larger: tuple[int, ...], cap: float, quick: bool) -> dict[str, Any]:
    """All sizes with one number of BLAS threads."""
    rows: list[Row] = []
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    with threadpool_limits(limits=threads):
        pools = [{"library": pool["internal_api"], "version": pool["version"], "threads": pool["num_threads"]}
                 for pool in threadpool_info() if pool["user_api"] == "blas"]  # fmt: skip
        for d in sizes:
            rounds = (3 if quick else 15) if d <= 20 else (2 if quick else 5) if d <= 40 else 1
            rows.append(compare(d, rounds, 10, cap, _predicted(rows, d)))
            _say(threads, rows[-1])
        for d in larger:
            parts = instance(d)
            row = Row(d, {name: Clock() for name in CLOSED_FORM}, {})
            repeat = 10 if d <= 320 else 3 if d < 1000 else 1
            solution = closed_form_rounds(d, parts, row.clocks, repeat)
            row.values["closed form"] = _summary(solution, solution)
            row.stages = stages(parts, repeat) if d <= 1000 else {}
            rows.append(row)
            _say(threads, row)
    return {"threads": threads, "load before": load, "blas": pools, "rows": [row.as_dict() for row in rows]}


def kept_tables(path: Path | None, threads: list[int], here: dict[str, Any]) -> list[dict[str, Any]]:
    """Tables of an earlier run on the same machine and versions, for numbers of threads that are not measured now."""
    if path is None or not path.is_file():
        return []
    earlier = json.loads(path.read_text(encoding="utf-8"))
    same = earlier["machine"] == here
    return [table for table in earlier["tables"] if same and table["threads"] not in threads]


def _predicted(rows: list[Row], d: int) -> dict[str, float]:
    """Seconds at size d by the growth between the last two sizes, at least d⁶ for Clarabel (D³, D = d(d+1)/2)."""
    if not rows or not rows[-1].clocks["clarabel"].wall:
        return {}
    last = rows[-1]
    return {
        "clarabel": last.clocks["clarabel"].seconds * (d / last.d) ** 6,
        "scs": last.clocks["scs"].seconds * (d / last.d) ** 4,
    }


def _say(threads: int, row: Row) -> None:
    parts = [f"{name} {_cell(clock.as_dict())}" for name, clock in row.clocks.items()]
    print(f"threads {threads}  d = {row.d}: " + ", ".join(parts), flush=True)


def goals(result: dict[str, Any]) -> dict[str, Any]:
    """For each goal of a size that was run: what was measured with each number of threads, and whether all reach it."""
    met = {}
    sizes = {row["d"] for table in result["tables"] for row in table["rows"]}
    for d, goal in GOALS.items():
        if d not in sizes:
            continue
        found = [row["times faster"]["clarabel"] for table in result["tables"] for row in table["rows"]
                 if row["d"] == d and "clarabel" in row["times faster"]]  # fmt: skip
        met[str(d)] = {"goal": goal, "measured": found, "met": bool(found) and min(x["wall"] for x in found) >= goal}
    return met


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="d = 10, 20 against the solvers, to d = 320 alone")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="BLAS threads, one table each")
    parser.add_argument("--sizes", type=int, nargs="*", default=None, help="d compared with the conic solvers")
    parser.add_argument("--larger", type=int, nargs="*", default=None, help="d of the closed form alone")
    parser.add_argument("--cap", type=float, default=600.0, help="seconds that a conic solve may take")
    parser.add_argument("--json", type=Path, default=None, help="where to write the result; a .md is written beside it")
    arguments = parser.parse_args()

    sizes: tuple[int, ...] = (10, 20) if arguments.quick else COMPARED
    larger: tuple[int, ...] = (80, 320) if arguments.quick else LARGER
    sizes = sizes if arguments.sizes is None else tuple(arguments.sizes)
    larger = larger if arguments.larger is None else tuple(arguments.larger)
    result: dict[str, Any] = {"machine": machine(), "quick": arguments.quick, "cap seconds": arguments.cap}
    result["predicted bytes of Clarabel"] = {str(d): conic_bytes(d) for d in sizes}
    instances = [instance(d) for d in sizes[:2]]
    for parts in instances:
        explained(parts).solve()
    result["tables"] = kept_tables(arguments.json, arguments.threads, result["machine"])
    for threads in arguments.threads:
        result["tables"].append(one_table(threads, sizes, larger, arguments.cap, arguments.quick))
        # Sizes that take minutes are measured with the first number of threads only.
        sizes, larger = tuple(d for d in sizes if d <= 40), tuple(d for d in larger if d <= 320)
    result["tables"].sort(key=lambda table: table["threads"])
    with threadpool_limits(limits=1):
        result["profile"] = {"d": 20, "rows": profile(20)}
    result["goals"] = goals(result)
    text = markdown(result)
    print("\n" + text)
    for d, goal in result["goals"].items():
        print(f"d = {d}: goal {goal['goal']:g}×, measured {', '.join(map(_times, goal['measured']))}: "
              f"{'met' if goal['met'] else 'NOT MET'}")  # fmt: skip
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        arguments.json.with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
