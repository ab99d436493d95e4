"""``solve`` and ``export``: a problem file in, a certified solution or a conic program out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from convexwgan.certificates.certificate import Certificate, Status
from convexwgan.cli.exits import EXIT_OF_STATUS, Exit
from convexwgan.cli.output import Output
from convexwgan.errors import InputError
from convexwgan.problem import Problem
from convexwgan.report.results import Result, pair_text, problem_of, result_of, route_text
from convexwgan.report.tables import gap_text, number_text, plain_table, status_markup
from convexwgan.solution import Solution
from convexwgan.spec.instance import Instance, load_instance

SOLUTION_FILE = "solution.safetensors"


def run_solve(
    output: Output,
    file: str,
    method: str,
    solver: str | None,
    tol: float | None,
    time_limit: float | None,
    out: Path | None,
) -> Exit:
    """Solve, show beside what the file expects, and write to ``out``/solution.safetensors unless there is nothing."""
    instance = load_instance(file)
    if out is not None and out.exists() and not out.is_dir():
        raise InputError("--out", str(out), "be a folder", f"the file goes to DIR/{SOLUTION_FILE}")
    problem = problem_of(instance)
    solution = problem.solve(method=method, solver=solver, tol=tol, time_limit=time_limit)
    path = None if out is None or solution.status is Status.FAILED else _write(solution, out)
    route = route_text(problem.route(method))
    row = _against_expected(instance, problem, solution)
    code = EXIT_OF_STATUS[solution.status] if _agrees(row) else Exit.UNPROVEN
    document = {"problem": instance.name, "pair": pair_text(instance.wgan), "route": route}
    output.document({**document, **_plain(solution, path), "expected": _expected(row), "exit_code": int(code)})
    _show(output, instance.title, route, solution, path, row)
    return code


def _against_expected(instance: Instance, problem: Problem, solution: Solution) -> Result:
    """The answer beside [expected] of the file: values may differ by what the solve was asked to prove."""
    expected = instance.expected
    if expected is not None:
        expected = replace(expected, tolerance=max(expected.tolerance, solution.tol))
    return result_of(replace(instance, expected=expected), problem, solution, solution.stats.seconds)


def _agrees(row: Result) -> bool:
    return row.matches_status is not False and row.matches_value is not False


def _expected(row: Result) -> dict[str, Any] | None:
    if row.expected_status is None and row.expected_value is None:
        return None
    return {"status": row.expected_status, "value": row.expected_value, "agrees": _agrees(row)}


def _expected_text(row: Result) -> str:
    parts = [] if row.expected_status is None else [row.expected_status.upper()]
    parts += [] if row.expected_value is None else [f"value {number_text(row.expected_value, 12)}"]
    return ", ".join(parts) + (" [green]✓[/]" if _agrees(row) else " [red]✗ not what was found[/]")


def _write(solution: Solution, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return solution.save(folder / SOLUTION_FILE)


def _plain(solution: Solution, path: Path | None) -> dict[str, Any]:
    return {
        "status": solution.status.value,
        "value": solution.value,
        "bound": solution.bound,
        "gap": solution.gap,
        "relative_gap": solution.relative_gap,
        "tol": solution.tol,
        "method": solution.stats.method,
        "stopped": solution.stats.stopped,
        "seconds": solution.stats.seconds,
        "stages": solution.stats.times,
        "certificate": certificate_dict(solution.certificate),
        "weights": _weights(solution),
        "file": None if path is None else str(path),
    }


def _weights(solution: Solution) -> dict[str, Any] | None:
    """The second problem of a ReLU generator as plain data."""
    second = solution.realization
    if second is None:
        return None
    certificate = certificate_dict(second.certificate)
    return {"value": second.value, "bound": second.bound, "certificate": certificate}


def _show(output: Output, title: str, route: str, solution: Solution, path: Path | None, row: Result) -> None:
    rows = [
        ("status", status_markup(solution.status.value)),
        ("value", number_text(solution.value, 12)),
        ("bound", number_text(solution.bound, 12)),
        ("relative gap", gap_text(solution.relative_gap)),
        ("route", route),
        ("seconds", f"{solution.stats.seconds:.3f}"),
    ]
    if solution.realization is not None:
        second = solution.realization
        numbers = f"{number_text(second.value, 9)}, bound {number_text(second.bound, 9)}"
        rows += [("weights", f"{status_markup(second.status.value)}  {numbers}")]
    rows += [("expected", _expected_text(row))] if _expected(row) is not None else []
    rows += [("stopped", solution.stats.stopped)] if solution.stats.stopped else []
    rows += [("file", str(path))] if path is not None else []
    table = plain_table(title, ("", ""))
    table.show_header = False
    for entry in rows:
        table.add_row(*entry)
    output.show(table)
    output.text(str(solution.certificate))


def certificate_dict(certificate: Certificate) -> dict[str, Any]:
    """A certificate as plain data."""
    proof = certificate.infeasibility
    return {
        "status": certificate.status.value,
        "lower": certificate.lower,
        "upper": certificate.upper,
        "relative_gap": certificate.relative_gap,
        "violation": certificate.violation,
        "tol": certificate.tol,
        "scope": certificate.scope,
        "failure_probability": certificate.failure_probability,
        "infeasibility": None if proof is None else {"kind": proof.kind, "text": proof.text},
        "checks": [{"name": c.name, "holds": c.holds is True, "detail": c.detail} for c in certificate.checks],
    }


def run_export(output: Output, file: str, out: Path | None, kind: str | None) -> Exit:
    """Write the conic form; ``kind`` and the ending of ``out`` must agree where both are given."""
    instance = load_instance(file)
    target = out or Path(f"{instance.name}.{kind or 'cbf'}")
    if kind is not None and not target.name.lower().endswith(f".{kind}"):
        raise InputError("--out", str(target), f"end in .{kind}", "leave --format out, or change the name")
    path = problem_of(instance).export(target)
    output.document({"problem": instance.name, "file": str(path), "bytes": path.stat().st_size, "exit_code": 0})
    output.text(f"Wrote {path} ({path.stat().st_size} bytes).")
    return Exit.OK
