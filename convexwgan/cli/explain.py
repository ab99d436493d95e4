"""``explain`` and ``problems``: why a pair is tractable, and which pairs ship as instances."""

from __future__ import annotations

from typing import Any

from convexwgan.cli.exits import Exit
from convexwgan.cli.output import Output
from convexwgan.report.results import pair_text, problem_of
from convexwgan.report.tables import number_text, plain_table
from convexwgan.spec.instance import Instance, instance_names, load_instance
from convexwgan.theory.explanation import Explanation


def run_explain(output: Output, file: str, data: bool) -> Exit:
    """Print the route; a pair that no theorem covers raises NotCoveredError with the nearest one that works."""
    instance = load_instance(file)
    explanation = problem_of(instance).explain(data=data)
    output.document({"problem": instance.name, **_plain(explanation), "exit_code": 0})
    output.text(str(explanation))
    return Exit.OK


def _plain(explanation: Explanation) -> dict[str, Any]:
    steps = [
        {
            "theorem": step.name,
            "claim": step.claim,
            "citation": step.citation,
            "exactness": step.exactness,
            "formula": step.formula,
            "conditions": [{"text": condition.text, "holds": condition.holds} for condition in step.conditions],
        }
        for step in explanation.steps
    ]
    return {
        "game": explanation.game,
        "steps": steps,
        "is_convex": explanation.is_convex,
        "conditions_hold": explanation.holds,
        "method": explanation.method,
        "predicted_memory_bytes": explanation.predicted_memory,
    }


def run_problems(output: Output) -> Exit:
    """List the shipped instances."""
    instances = [load_instance(name) for name in instance_names()]
    output.document({"problems": [_row(instance) for instance in instances], "exit_code": 0})
    table = plain_table(f"{len(instances)} instances", ("name", "pair", "expected status", "expected value"))
    for instance in instances:
        row = _row(instance)
        value = row["expected_value"]
        table.add_row(
            row["name"], row["pair"], row["expected_status"] or "", "" if value is None else number_text(float(value))
        )
    output.show(table)
    return Exit.OK


def _row(instance: Instance) -> dict[str, Any]:
    expected = instance.expected
    return {
        "name": instance.name,
        "title": instance.title,
        "pair": pair_text(instance.wgan),
        "expected_status": None if expected is None else expected.status,
        "expected_value": None if expected is None else expected.value,
        "source": None if expected is None else expected.source,
    }
