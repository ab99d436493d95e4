"""``verify``: a saved solution judged from the problem's own data, its claims set beside what was found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from convexwgan.certificates.certificate import Certificate, Status
from convexwgan.certificates.verify import verify
from convexwgan.cli.exits import EXIT_OF_STATUS, Exit
from convexwgan.cli.output import Output
from convexwgan.cli.solve import certificate_dict
from convexwgan.errors import FileFormatError
from convexwgan.problem import Problem
from convexwgan.report.results import problem_of
from convexwgan.report.tables import number_text, plain_table
from convexwgan.solution import Solution
from convexwgan.spec.instance import load_instance
from convexwgan.spec.validation import tolerance


@dataclass(frozen=True)
class ClaimRow:
    """What the file says of one thing, and what was recomputed."""

    name: str
    claimed: Any
    recomputed: Any
    agrees: bool


def run_verify(output: Output, file: Path, problem_file: str, tol: float | None) -> Exit:
    """Judge; 0 only where CERTIFIED is claimed and proven, 4 where INFEASIBLE is claimed and proven."""
    problem = problem_of(load_instance(problem_file))
    solution = Solution.load(file)
    _refuse_other_data(file, problem_file, problem, solution)
    # The tolerance of the file is a claim as well: it may be tighter than ours, never looser unasked.
    ours = default_tolerance(solution) if tol is None else tolerance("--tol", tol)
    certificate = verify(problem, replace(solution, tol=min(ours, solution.tol) if tol is None else ours))
    claims = compare(solution, certificate)
    code = _exit(certificate, claims)
    rows = [{"name": c.name, "claimed": c.claimed, "recomputed": c.recomputed, "agrees": c.agrees} for c in claims]
    document = {"solution": str(file), "problem": problem_file, "claims": rows}
    output.document({**document, "certificate": certificate_dict(certificate), "exit_code": int(code)})
    _show(output, certificate, claims)
    return code


def default_tolerance(solution: Solution) -> float:
    """1e-6, or 1e-4 for weights in float32: the defaults of ``Problem.solve``."""
    weights = None if solution.generator is None else solution.generator.weights
    return 1e-4 if "float32" in str(getattr(weights, "dtype", "")) else 1e-6


def compare(solution: Solution, certificate: Certificate) -> tuple[ClaimRow, ...]:
    """Status, value and bound: claimed beside recomputed. The certificate's own checks decide about the numbers."""
    failed = {check.name for check in certificate.failed_checks}
    status = str(solution.stats.extra.get("claimed_status", "none")).lower()
    value_holds = "the value is what the weights attain" not in failed
    bound_holds = not failed & {"the bound is proven", "the discriminator attains the bound"}
    if certificate.status is Status.INFEASIBLE:
        value_holds = bound_holds = solution.value == solution.bound == float("inf")
    return (
        ClaimRow("status", status, certificate.status.value, status == certificate.status.value),
        ClaimRow("value", solution.value, certificate.upper, value_holds),
        ClaimRow("bound", solution.bound, certificate.lower, bound_holds),
    )


def _refuse_other_data(file: Path, problem_file: str, problem: Problem, solution: Solution) -> None:
    found, expected = solution.fingerprint, problem.fingerprint()
    if found is not None and found != expected:
        raise FileFormatError(
            f"{file} was solved on other data than {problem_file}: SHA-256 {found[:12]}…, expected {expected[:12]}…; "
            "name the problem that it was solved on, or solve this one."
        )


def _exit(certificate: Certificate, claims: tuple[ClaimRow, ...]) -> Exit:
    """A claim that was not found is not proven, whatever else is."""
    return EXIT_OF_STATUS[certificate.status] if all(claim.agrees for claim in claims) else Exit.UNPROVEN


def _show(output: Output, certificate: Certificate, claims: tuple[ClaimRow, ...]) -> None:
    table = plain_table("Claims of the file", ("", "claimed", "recomputed", ""))
    for claim in claims:
        verdict = "✓" if claim.agrees else "[red]✗ not found: edited, or judged at another tolerance[/]"
        table.add_row(claim.name, _text(claim.claimed), _text(claim.recomputed), verdict)
    output.show(table)
    output.text(str(certificate))


def _text(value: Any) -> str:
    return number_text(value, 12) if isinstance(value, float) else str(value).upper()
