"""The walls of the house, read from the imports: who may know whom, and what is loaded when.

The picture is docs/architecture.md. Move a wall there and here in one change; the direction of the arrows and
the independence of the certificates stay.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = "convexwgan"
ROOT = Path(__file__).resolve().parents[1]

# Lowest first. A part may import its own layer and every layer below it ...
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "extras", "arrays"}),
    frozenset({"geometry"}),
    frozenset({"spec"}),
    frozenset({"theory"}),
    frozenset({"solvers"}),
    frozenset(
        {
            "problem",
            "solution",
            "fitted",
            "fitted_distribution",
            "storage",
            "torch_module",
            "load",
            "inputs",
            "judged",
            "relu_weights",
        }
    ),
    frozenset({"models", "baselines"}),
    frozenset({"report", "cli"}),
)
# ... but the judge knows neither the theory nor the solvers, and neither of them knows the judge.
JUDGE = "certificates"
JUDGE_MAY_IMPORT = frozenset({"errors", "arrays", "geometry", "spec", JUDGE})
WHO_MAY_IMPORT_THE_JUDGE = LAYERS[5] | LAYERS[6] | LAYERS[7] | {JUDGE}

# fmt: off
HEAVY = frozenset({
    "cvxpy", "clarabel", "scs", "mosek", "torch", "dask", "distributed",
    "sklearn", "skimage", "PIL", "pandas", "matplotlib", "torchmetrics", "torch_fidelity",
})
# fmt: on
# A scikit-learn estimator has to subclass sklearn.base.BaseEstimator, so its file imports scikit-learn as it
# is loaded. `convexwgan.__getattr__` loads these files on first use, and the subprocess test below sees that.
MAY_LOAD_AT_IMPORT = {"models": frozenset({"sklearn"})}
ONLY_IN_CONIC = "cvxpy"
CONIC = f"{PACKAGE}.solvers.conic"
NOT_LOADED_BY_IMPORT = ("cvxpy", "torch", "dask", "sklearn", "matplotlib", "skimage", "pandas", "PIL")
ESTIMATORS = ("ConvexWGAN", "ProCoGAN", "LagrangianGAN")
LONGEST_FILE = 450


@dataclass(frozen=True)
class Import:
    """One imported module, with where it stands: `runs` is when the file is loaded, not when called."""

    target: str
    line: int
    runs_at_import: bool
    for_types_only: bool


# ---------------------------------------------------------------------------------------------- reading


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_of(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).parts[:-1])


def is_type_checking(node: ast.AST) -> bool:
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
            return True
        case _:
            return False


def targets(node: ast.Import | ast.ImportFrom, package: str) -> list[str]:
    """Absolute names of what a statement imports; `from p import a` may mean the module p.a."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        parents = package.split(".")
        parents = parents[: len(parents) - node.level + 1]
        base = ".".join([*parents, base]) if base else ".".join(parents)
    return [f"{base}.{alias.name}" for alias in node.names]


def imports_of(tree: ast.Module, package: str) -> Iterator[Import]:
    def visit(node: ast.AST, runs: bool, types: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for target in targets(node, package):
                yield Import(target, node.lineno, runs and not types, types)
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        guarded = is_type_checking(node)
        for child in ast.iter_child_nodes(node):
            in_guard = guarded and isinstance(node, ast.If) and child in node.body
            yield from visit(child, runs and not is_function, types or in_guard)

    yield from visit(tree, runs=True, types=False)


def part_of(target: str) -> str | None:
    """The part of the house that a name belongs to: None for other packages, "" for the front door."""
    top, _, rest = target.partition(".")
    if top != PACKAGE:
        return None
    part = rest.partition(".")[0]
    known = part == JUDGE or any(part in layer for layer in LAYERS)
    return part if known else ""


def files(root: Path) -> list[Path]:
    return sorted((root / PACKAGE).rglob("*.py"))


# ---------------------------------------------------------------------------------------------- judging


def layer_of(part: str) -> int:
    return next(i for i, layer in enumerate(LAYERS) if part in layer)


def may_import(part: str, other: str) -> bool:
    if part == JUDGE:
        return other in JUDGE_MAY_IMPORT
    if other == JUDGE:
        return part in WHO_MAY_IMPORT_THE_JUDGE
    return layer_of(other) <= layer_of(part)


def violations_of_file(path: Path, root: Path) -> list[str]:
    module, tree = module_name(path, root), ast.parse(path.read_text(encoding="utf-8"))
    part = part_of(module)
    found = [
        problem
        for item in imports_of(tree, package_of(path, root))
        for problem in violations_of_import(module, part, item)
    ]
    return [f"{module}:{text}" for text in found + violations_of_text(module, path, tree)]


def violations_of_import(module: str, part: str | None, item: Import) -> Iterator[str]:
    top = item.target.partition(".")[0]
    other = part_of(item.target)
    if other == "" and part != "" and item.target != f"{PACKAGE}.__version__":
        yield f"{item.line} imports {item.target} through the front door: name the module that defines it"
    if part and other and not may_import(part, other):
        yield f"{item.line} {part} may not import {other}"
    allowed = MAY_LOAD_AT_IMPORT.get(part or "", frozenset())
    if top in HEAVY and item.runs_at_import and top not in allowed:
        yield f"{item.line} loads {top} at import: import it in the function that uses it"
    in_conic = module == CONIC or module.startswith(CONIC + ".")
    if top == ONLY_IN_CONIC and not in_conic and not item.for_types_only:
        yield f"{item.line} imports {top}: only {CONIC} does"


def violations_of_text(module: str, path: Path, tree: ast.Module) -> list[str]:
    found = []
    if ast.get_docstring(tree) is None:
        found.append("1 has no docstring")
    lines = len(path.read_text(encoding="utf-8").splitlines())
    if lines > LONGEST_FILE:
        found.append(f"{lines} has more than {LONGEST_FILE} lines: it holds more than one idea")
    if part_of(module) != "cli":
        found += [
            f"{node.lineno} prints: return the text, or log to logging.getLogger({PACKAGE!r})"
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
        ]
    return found


def violations(root: Path) -> list[str]:
    return [problem for path in files(root) for problem in violations_of_file(path, root)]


def module_graph(root: Path) -> dict[str, set[str]]:
    """Who loads whom as it is loaded. A package's __init__ counts as itself, not as all of its modules."""
    modules = {module_name(path, root): path for path in files(root)}
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        loaded = [i.target for i in imports_of(tree, package_of(path, root)) if i.runs_at_import]
        graph[module] = {closest_module(target, modules) for target in loaded} & modules.keys() - {module}
    return graph


def closest_module(target: str, modules: dict[str, Path]) -> str:
    """`convexwgan.errors.InputError` is loaded from `convexwgan.errors`."""
    return target if target in modules else target.rpartition(".")[0]


# ---------------------------------------------------------------------------------------------- the house


def test_every_part_of_the_package_has_its_place_in_the_table() -> None:
    parts = {module_name(path, ROOT).split(".")[1] for path in files(ROOT) if path.parent != ROOT / PACKAGE}
    parts |= {path.stem for path in (ROOT / PACKAGE).glob("*.py") if path.stem != "__init__"}
    assert parts <= frozenset().union(*LAYERS) | {JUDGE}


def test_imports_point_downwards_and_heavy_packages_wait_for_their_use() -> None:
    assert violations(ROOT) == []


def test_no_two_modules_load_each_other() -> None:
    try:
        TopologicalSorter(module_graph(ROOT)).prepare()
    except CycleError as error:
        pytest.fail(f"circular imports: {' <- '.join(error.args[1])}")


def loaded_by(code: str) -> set[str]:
    """The top-level packages that a fresh interpreter holds after running some code without a word."""
    code = f"{code}\nimport json, sys; print(json.dumps([name for name in sys.modules]))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stderr == ""
    return {name.partition(".")[0] for name in json.loads(run.stdout)}


def test_importing_the_package_loads_no_heavy_package() -> None:
    assert loaded_by(f"import {PACKAGE}") & set(NOT_LOADED_BY_IMPORT) == set()


def test_every_public_name_but_the_estimators_comes_without_a_heavy_package() -> None:
    code = f"import {PACKAGE} as p\nfor name in set(p.__all__) - {set(ESTIMATORS)}: getattr(p, name)"
    assert loaded_by(code) & set(NOT_LOADED_BY_IMPORT) == set()


def test_every_theorem_has_its_row_in_the_table_of_theorems() -> None:
    tree = ast.parse((ROOT / PACKAGE / "theory" / "theorems.py").read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    listed = {f"{name.rpartition('.')[2]}.py" for name in modules} - {"__future__.py", "reduction.py"}
    page = (ROOT / "docs" / "theorems.md").read_text(encoding="utf-8")
    assert {name for name in listed if f"`{name}`" not in page} == set()


# ---------------------------------------------------------------------------------------------- the checker

PLANTED: dict[str, tuple[str, str | None, str]] = {
    "judge_knows_solver": (
        "certificates/bounds.py",
        "from convexwgan.solvers import closed_form",
        "certificates may not import solvers",
    ),
    "judge_knows_theory": (
        "certificates/verify.py",
        "from ..theory.forms import Form",
        "certificates may not import theory",
    ),
    "solver_passes_sentence": (
        "solvers/saddle.py",
        "def run():\n    from convexwgan.certificates.certificate import Certificate",
        "solvers may not import certificates",
    ),
    "geometry_hears_of_gans": ("geometry/spectra.py", "from .. import spec", "geometry may not import spec"),
    "types_look_upwards": (
        "spec/wgan.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from convexwgan.problem import Problem",
        "spec may not import problem",
    ),
    "front_door": ("theory/routes.py", "from convexwgan import Problem", "through the front door"),
    "cvxpy_elsewhere": (
        "problem.py",
        "def f():\n    import cvxpy as cp",
        "only convexwgan.solvers.conic does",
    ),
    "cvxpy_at_import": ("solvers/conic.py", "import cvxpy as cp", "loads cvxpy at import"),
    "torch_at_import": ("baselines/gda.py", "import torch.nn as nn", "loads torch at import"),
    "class_body_runs": ("report/plots.py", "class A:\n    import matplotlib", "loads matplotlib at import"),
    "else_branch_runs": (
        "arrays.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    import torch",
        "loads torch at import",
    ),
    "prints": ("geometry/cones.py", "def f():\n    print('here')", "prints"),
    "no_docstring": ("geometry/cones.py", None, "has no docstring"),
    "too_long": ("geometry/cones.py", "\n" * (LONGEST_FILE + 1), f"more than {LONGEST_FILE} lines"),
}

INNOCENT: dict[str, tuple[str, str]] = {
    "lazy_cvxpy_in_conic": ("solvers/conic.py", "def f():\n    import cvxpy as cp"),
    "conic_may_be_a_package": ("solvers/conic/atoms.py", "def f():\n    import cvxpy as cp"),
    "cvxpy_named_in_a_type": (
        "problem.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import cvxpy as cp",
    ),
    "problem_asks_the_judge": ("problem.py", "from .certificates.certificate import Certificate"),
    "estimator_subclasses": ("models/estimator.py", "from sklearn.base import BaseEstimator"),
    "version": ("cli.py", "from convexwgan import __version__"),
    "cli_prints": ("cli.py", "def f():\n    print('hello')"),
    "print_in_a_doctest": ("geometry/cones.py", "def f():\n    '''>>> print(1)\n    1'''"),
}


def plant(root: Path, place: str, code: str | None) -> Path:
    """A package of one file."""
    path = root / PACKAGE / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x = 1\n" if code is None else f'"""A module."""\n{code}\n', encoding="utf-8")
    return path


@pytest.mark.parametrize("name", PLANTED)
def test_checker_catches_the_planted_violation(name: str, tmp_path: Path) -> None:
    place, code, message = PLANTED[name]
    plant(tmp_path, place, code)
    assert [message in problem for problem in violations(tmp_path)] == [True]


@pytest.mark.parametrize("name", INNOCENT)
def test_checker_lets_the_innocent_pass(name: str, tmp_path: Path) -> None:
    plant(tmp_path, *INNOCENT[name])
    assert violations(tmp_path) == []


def test_checker_catches_a_planted_cycle(tmp_path: Path) -> None:
    plant(tmp_path, "errors.py", "from .arrays import namespace")
    plant(tmp_path, "arrays.py", "from convexwgan.errors import InputError")
    with pytest.raises(CycleError):
        TopologicalSorter(module_graph(tmp_path)).prepare()
