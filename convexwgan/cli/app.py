"""The app: names and options of the commands; what they do is in the module of that name."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from convexwgan.cli.exits import exits
from convexwgan.cli.image_commands import images_app
from convexwgan.cli.output import Output

app = typer.Typer(
    name="convexwgan",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Wasserstein GANs as convex programs, solved to a proven optimum. "
    "Exit codes: 0 certified or done, 1 input, 2 usage, 3 not proven, 4 infeasible, 5 refused, 6 failed.",
)
app.add_typer(images_app)


class Format(StrEnum):
    """Files of conic programs."""

    CBF = "cbf"
    SDPA = "dat-s"


File = Annotated[str, typer.Argument(metavar="FILE|NAME", help="A problem file, or the name of a shipped instance.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout and nothing else there.")]


def _version(asked: bool) -> None:
    if asked:
        from convexwgan import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Wasserstein GANs as convex programs, solved to a proven optimum."""


@app.command()
def solve(
    file: File,
    method: Annotated[str, typer.Option(help="auto, closed_form, conic or saddle.")] = "auto",
    solver: Annotated[str | None, typer.Option(help="For conic: CLARABEL, SCS or MOSEK.")] = None,
    tol: Annotated[float | None, typer.Option(help="Relative gap that CERTIFIED asks for.")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder to write solution.safetensors to.")] = None,
    as_json: Json = False,
) -> None:
    """Solve a problem and certify the answer."""
    from convexwgan.cli.solve import run_solve

    output = Output(as_json)
    with exits(output):
        code = run_solve(output, file, method, solver, tol, time_limit, out)
    raise typer.Exit(code)


@app.command()
def explain(
    file: File,
    data: Annotated[bool, typer.Option("--data/--no-data", help="Evaluate each condition on the data.")] = True,
    as_json: Json = False,
) -> None:
    """The chain of theorems that makes a problem tractable."""
    from convexwgan.cli.explain import run_explain

    output = Output(as_json)
    with exits(output):
        code = run_explain(output, file, data)
    raise typer.Exit(code)


@app.command()
def verify(
    solution: Annotated[Path, typer.Argument(metavar="SOLUTION", help="A solution.safetensors.")],
    problem: Annotated[
        str, typer.Option("--problem", "-p", metavar="FILE|NAME", help="The problem it claims to solve.")
    ],
    tol: Annotated[float | None, typer.Option(help="Judge at this tolerance; default 1e-6, for float32 1e-4.")] = None,
    as_json: Json = False,
) -> None:
    """Judge a saved solution again, from the problem's own data."""
    from convexwgan.cli.verify import run_verify

    output = Output(as_json)
    with exits(output):
        code = run_verify(output, solution, problem, tol)
    raise typer.Exit(code)


@app.command()
def doctor(as_json: Json = False) -> None:
    """What can run here: solvers, array libraries, devices, extras, threads."""
    from convexwgan.cli.doctor import run_doctor

    output = Output(as_json)
    with exits(output):
        code = run_doctor(output)
    raise typer.Exit(code)


@app.command()
def problems(as_json: Json = False) -> None:
    """The instances that ship with the package."""
    from convexwgan.cli.explain import run_problems

    output = Output(as_json)
    with exits(output):
        code = run_problems(output)
    raise typer.Exit(code)


@app.command()
def export(
    file: File,
    out: Annotated[Path | None, typer.Option(help="File to write; default NAME.cbf or NAME.dat-s here.")] = None,
    kind: Annotated[Format | None, typer.Option("--format", help="Default: what --out ends in, else cbf.")] = None,
    as_json: Json = False,
) -> None:
    """Write the conic form for other solvers."""
    from convexwgan.cli.solve import run_export

    output = Output(as_json)
    with exits(output):
        code = run_export(output, file, out, None if kind is None else kind.value)
    raise typer.Exit(code)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for pictures, results.json and index.html.")] = Path(
        "out"
    ),
    as_json: Json = False,
) -> None:
    """Solve every shipped instance, fit the faces, write pictures and a page."""
    from convexwgan.cli.demo import run_demo

    output = Output(as_json)
    with exits(output):
        code = run_demo(output, out)
    raise typer.Exit(code)
