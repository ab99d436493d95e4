"""``demo``: every shipped instance solved and checked, the faces fitted, pictures and a page written."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from convexwgan.cli.exits import Exit
from convexwgan.cli.output import Output, plain
from convexwgan.extras import require
from convexwgan.report import gallery
from convexwgan.report.page import Figure, render_page
from convexwgan.report.results import Result, run_instance
from convexwgan.report.tables import results_table, summary
from convexwgan.spec.instance import Instance, instance_names, load_instance

INTRODUCTION = (
    "Each row of the table below is a Wasserstein GAN that was solved, not trained: the value is what its generator "
    "attains, the bound is what no generator of that kind can beat, and both were recomputed from the data by code "
    "that knows no solver.",
    "Instances that no generator can satisfy are INFEASIBLE with a proof; pairs that no theorem here covers are "
    "REFUSED. Both are among the shipped instances on purpose, and the last column says whether each answer is the "
    "expected one.",
)


def run_demo(output: Output, out: Path) -> Exit:
    """Write ``out``/index.html with its pictures and results.json; 3 when some answer is not the expected one."""
    require("matplotlib", "plot", "the demo")
    require("skimage", "images", "the demo")
    out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    results = solve_all([load_instance(name) for name in instance_names()])
    main = gallery.fit(gallery.faces_instance())
    results.append(main.run.result)
    figures = gallery.draw_all(main, out)
    document = _document(results, figures, main.metrics, out, time.perf_counter() - start)
    _write(out, results, figures, document)
    output.document(document)
    output.show(results_table(results, output.width))
    output.text(f"{summary(results)} {document['seconds']:.0f} s.\nPictures and the page: {out / 'index.html'}")
    return Exit(document["exit_code"])


def solve_all(instances: Sequence[Instance]) -> list[Result]:
    """Every instance in turn, with a progress bar on stderr when that is a terminal."""
    return [run_instance(instance).result for instance in _watched(instances)]


def _watched(instances: Sequence[Instance]) -> Iterable[Instance]:
    from rich.console import Console
    from rich.progress import track

    console = Console(file=sys.stderr)
    return track(instances, "Solving", console=console, transient=True, disable=not console.is_terminal)


def _document(
    results: Sequence[Result], figures: Sequence[Figure], metrics: dict[str, float], out: Path, seconds: float
) -> dict[str, Any]:
    is_good = all(row.is_as_expected for row in results)
    return {
        "summary": summary(results),
        "seconds": seconds,
        "results": [row.as_dict() for row in results],
        "faces": metrics,
        "page": str(out / "index.html"),
        "figures": [figure.file for figure in figures],
        "exit_code": int(Exit.OK if is_good else Exit.UNPROVEN),
    }


def _write(out: Path, results: Sequence[Result], figures: Sequence[Figure], document: dict[str, Any]) -> None:
    text = json.dumps(plain(document), ensure_ascii=False, indent=2, allow_nan=False)
    (out / "results.json").write_text(text + "\n", encoding="utf-8")
    page = render_page("Wasserstein GANs, solved and certified", INTRODUCTION, figures, results)
    (out / "index.html").write_text(page, encoding="utf-8")
