"""Exported files, read back by a reader of their own and solved again."""

from __future__ import annotations

import math
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from convexwgan.errors import InputError
from convexwgan.solvers.conic import covariance_program, export, mean_program, phase_one, polynomial_program, run
from convexwgan.spec.regularizer import Regularizer


def models():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(12, 3))
    m, M = X.sum(axis=0), X.T @ X
    Z = rng.normal(size=(5, 3))
    common = {"mass": 5.0, "weight": 1.0, "natural": True}
    return {
        "covariance": covariance_program(M, beta=3.0, strength=0.7, natural=True),
        "norm bound": covariance_program(M, beta=None, strength=0.7, natural=True),
        "dual": covariance_program(M, beta=3.0, strength=0.7, dualize=True, natural=True),
        "polynomial": polynomial_program(
            M, m, coefficients=(1, 0.5, 0.1), mass_gap=1.0, rho=4.0, beta=4.0, strength=0.7, natural=True
        ),
        "phase one": phase_one(M, m, coefficients=(1, 3, 0.1), mass_gap=1.0, rho=0.0, natural=True),
        "mean": mean_program(
            m, Z.sum(axis=0), beta=0.3, regularizer=Regularizer.output(0.7), root=np.linalg.qr(Z)[1], **common
        ),
        "norm": mean_program(
            m, Z.sum(axis=0), beta=None, regularizer=Regularizer.norm(math.inf, of="output"), features=Z, **common
        ),
    }


MODELS = models()


def sign(name: str) -> float:
    return -1.0 if name == "dual" else 1.0  # a maximisation is written as the minimum of its negative


# ------------------------------------------------------------------------------------ readers


def read_cbf(path: Path) -> float:
    """Optimal value of a CBF file, rebuilt in CVXPY from the format's own definition."""
    import cvxpy as cp

    lines = [line for line in path.read_text(encoding="ascii").splitlines() if line]
    heads = [
        i for i, line in enumerate(lines) if line[0].isalpha() and line.isupper() and " " not in line and line != "MIN"
    ]
    sections = {lines[i]: [line.split() for line in lines[i + 1 : j]] for i, j in pairwise([*heads, len(lines)])}
    x = cp.Variable(int(sections["VAR"][0][0]))
    objective = sum(float(v) * x[int(j)] for j, v in sections.get("OBJACOORD", [])[1:])
    objective += float(sections["OBJBCOORD"][0][0])
    rows = int(sections["CON"][0][0]) if "CON" in sections else 0
    A, b = np.zeros((rows, x.size)), np.zeros(rows)
    for i, j, v in sections.get("ACOORD", [])[1:]:
        A[int(i), int(j)] = float(v)
    for i, v in sections.get("BCOORD", [])[1:]:
        b[int(i)] = float(v)
    constraints, start = [], 0
    for kind, size in sections.get("CON", [])[1:]:
        y = A[start : start + int(size)] @ x + b[start : start + int(size)]
        start += int(size)
        if kind == "EXP":  # x0 ≥ x1 exp(x2/x1)
            constraints.append(cp.ExpCone(y[2], y[1], y[0]))
        else:
            constraints.append({"L=": y == 0, "L+": y >= 0, "Q": cp.SOC(y[0], y[1:])}[kind])
    for block, (side,) in enumerate(sections.get("PSDCON", [])[1:]):
        F = np.zeros((x.size + 1, int(side), int(side)))
        for k, j, row, column, v in sections.get("HCOORD", [])[1:]:
            if int(k) == block:
                assert int(row) >= int(column)
                F[1 + int(j), int(row), int(column)] = F[1 + int(j), int(column), int(row)] = float(v)
        for k, row, column, v in sections.get("DCOORD", [])[1:]:
            if int(k) == block:
                F[0, int(row), int(column)] = F[0, int(column), int(row)] = float(v)
        constraints.append(F[0] + sum(F[1 + j] * x[j] for j in range(x.size)) >> 0)
    problem = cp.Problem(cp.Minimize(objective), constraints)
    return problem.solve(solver="CLARABEL")


def read_sdpa(path: Path) -> float:
    """Optimal value of a sparse SDPA file: min cᵀx s.t. Σ F_i x_i − F_0 ⪰ 0 (plus the offset in the comment)."""
    import cvxpy as cp

    lines = path.read_text(encoding="ascii").splitlines()
    offset = float(lines[0].split("+")[1].split(",")[0])
    n, blocks = int(lines[1]), int(lines[2])
    sizes, c = [int(size) for size in lines[3].split()], np.array(lines[4].split(), dtype=float)
    assert len(sizes) == blocks
    F = [np.zeros((n + 1, abs(size), abs(size))) for size in sizes]
    for line in lines[5:]:
        k, block, i, j, v = line.split()
        assert int(i) <= int(j)
        F[int(block) - 1][int(k), int(i) - 1, int(j) - 1] = F[int(block) - 1][int(k), int(j) - 1, int(i) - 1] = float(v)
    x = cp.Variable(n)
    constraints = []
    for size, f in zip(sizes, F, strict=True):
        if size < 0:
            diagonals = np.diagonal(f, axis1=1, axis2=2)
            assert np.all(f == np.einsum("ki,ij->kij", diagonals, np.eye(-size)))
            constraints.append(diagonals[1:].T @ x - diagonals[0] >= 0)
        else:
            constraints.append(sum(f[1 + i] * x[i] for i in range(n)) - f[0] >> 0)
    return cp.Problem(cp.Minimize(c @ x), constraints).solve(solver="CLARABEL") + offset


@pytest.mark.parametrize(("suffix", "reader"), [(".cbf", read_cbf), (".dat-s", read_sdpa)])
@pytest.mark.parametrize("name", list(MODELS))
def test_exported_program_read_back_has_the_same_optimum(tmp_path, name, suffix, reader):
    path = export(MODELS[name].problem, tmp_path / f"program{suffix}")
    assert reader(path) == pytest.approx(sign(name) * run(MODELS[name]).objective, rel=1e-5)


@pytest.mark.parametrize("name", list(MODELS))
def test_mosek_reads_the_exported_cbf(tmp_path, name):
    mosek = pytest.importorskip("mosek", reason="mosek is not installed")
    path = export(MODELS[name].problem, tmp_path / "program.cbf")
    with mosek.Env() as environment, environment.Task() as task:
        task.readdata(str(path))
        assert task.getnumvar() >= 1


def test_exponential_cones_go_to_cbf_and_are_refused_for_sdpa(tmp_path):
    import cvxpy as cp

    model = mean_program(
        np.array([1.0, 2.0]), np.ones(2), beta=0.1, mass=2.0, weight=1.0,
        regularizer=Regularizer.custom(lambda G: cp.sum(cp.exp(G)), of="output"),
    )  # fmt: skip
    assert read_cbf(export(model.problem, tmp_path / "p.cbf")) == pytest.approx(run(model).objective, rel=1e-5)
    with pytest.raises(InputError, match=r"\.cbf"):
        export(model.problem, tmp_path / "p.dat-s")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.cbf"]


@pytest.mark.parametrize("name", ["program.txt", "program", "program.sdpa"])
def test_unknown_suffix_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"\.cbf or \.dat-s"):
        export(MODELS["mean"].problem, tmp_path / name)


def test_missing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="existing folder"):
        export(MODELS["mean"].problem, tmp_path / "no" / "p.cbf")


def test_power_cones_are_refused(tmp_path):
    import cvxpy as cp

    x = cp.Variable(3)
    problem = cp.Problem(cp.Minimize(x[0]), [cp.PowCone3D(x[0], x[1], x[2], 0.3), x[1] == 1, x[2] == 1])
    with pytest.raises(InputError, match="power cones"):
        export(problem, tmp_path / "p.cbf")


def test_failed_export_leaves_the_old_file_as_it_was(tmp_path, monkeypatch):
    module = import_module("convexwgan.solvers.conic.export")  # the package's name "export" is the function
    path = tmp_path / "p.cbf"
    path.write_text("old", encoding="ascii")

    def broken(form):
        yield "VER"
        raise OSError("disk full")

    monkeypatch.setattr(module, "_cbf", broken)
    with pytest.raises(OSError, match="disk full"):
        export(MODELS["mean"].problem, path)
    assert path.read_text(encoding="ascii") == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["p.cbf"]
