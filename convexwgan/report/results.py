"""One instance, solved and held against what its file expects: a row of the table, in plain data."""

from __future__ import annotations

import math
import re
import time
from dataclasses import asdict, dataclass
from typing import Any, cast

from convexwgan.errors import ConvexWGANError, NotCoveredError
from convexwgan.problem import Problem
from convexwgan.solution import Solution
from convexwgan.spec.instance import Instance
from convexwgan.spec.wgan import WGAN
from convexwgan.theory.forms import Normalize
from convexwgan.theory.routes import Route

REFUSED, ERROR = "refused", "error"
"""In the place of a status where there is no solution: no theorem covers the pair; it could not be tried."""


@dataclass(frozen=True)
class Result:
    """A row: what was found, and whether the problem file expected it.

    ``route`` is the citations in order; ``matches_status`` and ``matches_value`` are None where the file says
    nothing; ``note`` is the message of a refusal or an error.
    """

    name: str
    pair: str
    route: str
    status: str
    value: float
    bound: float
    gap: float
    relative_gap: float
    seconds: float
    expected_status: str | None = None
    expected_value: float | None = None
    matches_status: bool | None = None
    matches_value: bool | None = None
    note: str = ""

    @property
    def is_as_expected(self) -> bool:
        """Whether nothing contradicts the problem file; without an expected status an error still does."""
        if self.matches_status is None and self.status in (ERROR, "failed", "unverified"):
            return False
        return self.matches_status is not False and self.matches_value is not False

    def as_dict(self) -> dict[str, Any]:
        """The row as plain data."""
        return {**asdict(self), "is_as_expected": self.is_as_expected}


@dataclass(frozen=True)
class Run:
    """A row together with what made it; ``solution`` is None where there is none."""

    result: Result
    problem: Problem | None
    solution: Solution | None


def problem_of(instance: Instance) -> Problem:
    """The problem that an instance describes, its data and noise made now."""
    built = instance.build()
    return Problem(built.wgan, built.X, built.Z, n_fake=built.n_fake, normalize=cast(Normalize, built.normalize))


def run_instance(instance: Instance) -> Run:
    """Build, solve and compare one instance; a refusal or an error of this package becomes its status."""
    start = time.perf_counter()
    problem: Problem | None = None
    try:
        problem = problem_of(instance)
        solution = problem.solve()
    except ConvexWGANError as error:
        status = REFUSED if isinstance(error, NotCoveredError) else ERROR
        return Run(_without_solution(instance, status, time.perf_counter() - start, str(error)), problem, None)
    result = result_of(instance, problem, solution, time.perf_counter() - start)
    return Run(result, problem, solution)


def result_of(instance: Instance, problem: Problem, solution: Solution, seconds: float) -> Result:
    """The row of a solved instance; ``seconds`` includes making the data."""
    expected = instance.expected
    wanted = None if expected is None else expected.value
    status = solution.status.value
    return Result(
        name=instance.name,
        pair=pair_text(instance.wgan),
        route=route_text(problem.route()),
        status=status,
        value=solution.value,
        bound=solution.bound,
        gap=solution.gap,
        relative_gap=solution.relative_gap,
        seconds=seconds,
        expected_status=None if expected is None else expected.status,
        expected_value=wanted,
        matches_status=_matches_status(instance, status),
        matches_value=None if expected is None or wanted is None else _agrees(solution, wanted, expected.tolerance),
    )


def _without_solution(instance: Instance, status: str, seconds: float, note: str) -> Result:
    expected = instance.expected
    nan = math.nan
    return Result(
        instance.name, pair_text(instance.wgan), "no theorem" if status == REFUSED else "not tried", status,
        nan, nan, nan, nan, seconds,
        expected_status=None if expected is None else expected.status,
        expected_value=None if expected is None else expected.value,
        matches_status=_matches_status(instance, status),
        note=note,
    )  # fmt: skip


def _matches_status(instance: Instance, status: str) -> bool | None:
    if instance.expected is None or instance.expected.status is None:
        return None
    return instance.expected.status == status


def _agrees(solution: Solution, wanted: float, tolerance: float) -> bool:
    """Value and bound both, relative to the value; at value 0 relative to the game's scale."""
    size = max(abs(wanted), 1e-6 * solution.certificate.scale)
    return all(abs(found - wanted) <= tolerance * size for found in (solution.value, solution.bound))


# ---------------------------------------------------------------------------------------------- short texts


def pair_text(wgan: WGAN) -> str:
    """The pair in a few words; weight decay, the rule, goes without saying.

    >>> from convexwgan.spec.discriminator import Discriminator
    >>> from convexwgan.spec.generator import Generator
    >>> pair_text(Discriminator.quadratic(components=20, skip=True) + Generator.linear())
    'quadratic+skip × linear, output, 20 components'
    """
    discriminator, generator = wgan.players
    cost = wgan.regularizer
    kind = discriminator.kind + ("+skip" if discriminator.skip else "")
    price = f"norm of {cost.of}" if cost.kind == "norm" else cost.kind
    rule = ", norm bound" if discriminator.norm_bound else ""
    rule = f", {discriminator.components} components" if discriminator.components is not None else rule
    return f"{kind} × {generator.kind}, {price}{rule}"


_NUMBER = re.compile(r"(Lemma|Theorem|Corollary|eq|MATH) ([A-Z0-9]+(?:\.\d+)*)")
_SHORT = {"Lemma": "Lem", "Theorem": "Thm", "Corollary": "Cor", "eq": "eq", "MATH": "MATH", "closed_form": "closed"}


def route_text(route: Route) -> str:
    """The theorems of a route by number, then the method that ends it.

    >>> from convexwgan.load import load_problem
    >>> route_text(load_problem("quadratic_free_output").route())
    'Lem 3.1 → Cor 3.2 → Thm 2.1 → closed'
    """
    found = [_NUMBER.search(step.theorem.citation) for step in route.steps]
    names = [f"{_SHORT[match[1]]} {match[2]}" for match in found if match is not None]
    return " → ".join([*dict.fromkeys(names), _SHORT.get(route.method, route.method)])
