"""Write a conic program as a CBF or SDPA file, for other solvers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from convexwgan.arrays import Float64
from convexwgan.errors import InputError
from convexwgan.solvers.conic.model import warnings_logged

_SUFFIXES = {".cbf": "CBF", ".dat-s": "SDPA"}


@dataclass(frozen=True)
class _StandardForm:
    """min cᵀx + offset s.t. b − Ax ∈ {0}^zero × ℝ₊^nonneg × Π Q^k × Π S₊^k × K_exp^exp (rows in this order).

    Semidefinite rows: lower triangle by columns, entries off the diagonal times √2.
    """

    c: Float64
    A: sp.csc_matrix
    b: Float64
    offset: float
    zero: int
    nonneg: int
    soc: tuple[int, ...]
    psd: tuple[int, ...]
    exp: int


def export(problem: Any, path: str | os.PathLike[str]) -> Path:
    """Write ``problem`` (a ``cvxpy.Problem``) to ``path``: CBF for .cbf, sparse SDPA for .dat-s.

    The file states min cᵀx + offset s.t. b − Ax in cones; a maximisation is written as min of its negative.
    SDPA has no constant (it stands in the comment) and no second-order cones: ‖x‖ ≤ t becomes
    [[t, xᵀ], [x, tI]] ⪰ 0. Written beside the target first, then moved: never half a file.

    Raises:
        InputError: no path, another suffix, a folder missing or not writable, or cones that the format lacks.

    Reference: CBF version 3 (cblib.zib.de/format.pdf); SDPA sparse format (SDPLIB).
    """
    given: Any = path
    if not isinstance(given, (str, os.PathLike)):
        raise InputError("path of export", given, "be a path", "as 'problem.cbf'")
    path = Path(path)
    suffix = next((ending for ending in _SUFFIXES if path.name.lower().endswith(ending)), None)
    if suffix is None:
        raise InputError(
            "path of export", str(path), "end in .cbf or .dat-s", "CBF for MOSEK and others, .dat-s for SDPA"
        )
    if not path.parent.is_dir():
        raise InputError("path of export", str(path), "lie in an existing folder", f"make {path.parent} first")
    form = _standard_form(problem)
    _write_atomically(path, _cbf(form) if suffix == ".cbf" else _sdpa(form))
    return path


def _standard_form(problem: Any) -> _StandardForm:
    with warnings_logged():
        data, _, inverse = problem.get_problem_data(solver="SCS", solver_opts={"use_quad_obj": False})
    dims = data["dims"]
    if dims.p3d or dims.pnd:
        raise InputError("program to export", "power cones", "have none", "a p-norm needs p = 1, 2 or infinity")
    return _StandardForm(
        np.asarray(data["c"], dtype=np.float64),
        sp.csc_matrix(data["A"]),
        np.asarray(data["b"], dtype=np.float64),
        float(inverse[-1]["offset"]),
        dims.zero,
        dims.nonneg,
        tuple(dims.soc),
        tuple(dims.psd),
        dims.exp,
    )


def _write_atomically(path: Path, lines: Iterator[str]) -> None:
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InputError("path of export", str(path), "be in a folder that can be written", str(error)) from error
    try:
        with os.fdopen(descriptor, "w", encoding="ascii", newline="\n") as file:
            file.writelines(f"{line}\n" for line in lines)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp hides the file from others; an export is for others
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _triangle(side: int) -> tuple[np.ndarray, np.ndarray, Float64]:
    """(row, column, factor from svec to matrix entry) of the lower triangle, by columns."""
    columns, rows = np.triu_indices(side)
    return rows, columns, np.where(rows == columns, 1.0, 1.0 / np.sqrt(2.0))


def _cbf(form: _StandardForm) -> Iterator[str]:
    scalar = form.zero + form.nonneg + sum(form.soc)
    cones = [("L=", form.zero), ("L+", form.nonneg), *(("Q", k) for k in form.soc), *[("EXP", 3)] * form.exp]
    cones = [cone for cone in cones if cone[1]]
    first_exp = len(form.b) - 3 * form.exp
    # CBF has y ≥ .. with the three coordinates of an exponential cone in the opposite order.
    exponential = (np.arange(first_exp, len(form.b)).reshape(-1, 3)[:, ::-1]).ravel()
    order = np.concatenate([np.arange(scalar), exponential]).astype(int)
    yield from ("VER", "3", "", "OBJSENSE", "MIN", "", "VAR", f"{len(form.c)} 1", f"F {len(form.c)}", "")
    if cones:
        yield from ("CON", f"{len(order)} {len(cones)}", *(f"{name} {size}" for name, size in cones), "")
    if form.psd:
        yield from ("PSDCON", str(len(form.psd)), *map(str, form.psd), "")
    yield from _section("OBJACOORD", _coordinates(sp.csr_matrix(form.c), np.zeros((1, 0), dtype=int)))
    yield from ("OBJBCOORD", repr(form.offset), "")
    labels = np.arange(len(order))[:, None]
    yield from _section("ACOORD", _coordinates(-form.A.tocsr()[order], labels))
    yield from _section("BCOORD", _constants(form.b[order], labels))
    places, E = _psd_places(form, scalar)
    yield from _section("HCOORD", _coordinates(-(E @ form.A), places, label_first=1))
    yield from _section("DCOORD", _constants(E @ form.b, places))


def _psd_places(form: _StandardForm, start: int) -> tuple[np.ndarray, sp.csr_matrix]:
    """(block, i, j) of every semidefinite row, and the matrix that scales those rows out of the form."""
    places: list[np.ndarray] = [np.zeros((0, 3), dtype=int)]
    factors: list[Float64] = [np.zeros(0)]
    for block, side in enumerate(form.psd):
        rows, columns, scale = _triangle(side)
        places.append(np.column_stack([np.full(len(rows), block), rows, columns]))
        factors.append(scale)
    scale = np.concatenate(factors)
    picks = (scale, (np.arange(len(scale)), start + np.arange(len(scale))))
    return np.concatenate(places), sp.csr_matrix(picks, shape=(len(scale), len(form.b)))


def _coordinates(matrix: Any, labels: np.ndarray, label_first: int | None = None) -> list[str]:
    """One line an entry: the label of its row, its column, its value (``label_first`` labels precede the column)."""
    entries = sp.coo_matrix(matrix)
    entries.eliminate_zeros()
    split = labels.shape[1] if label_first is None else label_first
    lines = []
    for row, column, value in zip(entries.row, entries.col, entries.data, strict=True):
        label = [str(part) for part in labels[row]]
        lines.append(" ".join([*label[:split], str(column), *label[split:], repr(float(value))]))
    return lines


def _constants(values: Float64, labels: np.ndarray) -> list[str]:
    nonzero = np.flatnonzero(values)
    return [" ".join([*map(str, labels[row]), repr(float(values[row]))]) for row in nonzero]


def _section(name: str, lines: list[str]) -> list[str]:
    return [name, str(len(lines)), *lines, ""] if lines else []


def _sdpa(form: _StandardForm) -> Iterator[str]:
    """min cᵀx s.t. Σ_i F_i x_i − F_0 ⪰ 0 with F_i = −A_i, F_0 = −b, block by block; equalities as two inequalities."""
    if form.exp:
        raise InputError("program to export", "exponential cones", "have none for SDPA", "export it as .cbf")
    places, E, sizes = _sdpa_places(form)
    yield f'"min c\'x + {form.offset!r}, convexwgan"'
    yield from (str(len(form.c)), str(len(sizes)), " ".join(map(str, sizes)), " ".join(map(repr, form.c.tolist())))
    stacked = sp.hstack([sp.csc_matrix(-(E @ form.b)[:, None]), -(E @ form.A)], format="csc")
    stacked.eliminate_zeros()
    entries = stacked.tocoo()
    for row, column, value in zip(entries.row, entries.col, entries.data, strict=True):
        yield f"{column} {' '.join(map(str, places[row]))} {float(value)!r}"


def _sdpa_places(form: _StandardForm) -> tuple[np.ndarray, sp.csr_matrix, list[int]]:
    """(block, i, j), i ≤ j from 1, of every entry; the matrix that makes the entries from rows; block sizes."""
    zeros, linear = np.arange(form.zero), np.arange(form.zero, form.zero + form.nonneg)
    diagonal = np.concatenate([zeros, zeros, linear])
    sizes = [-len(diagonal)] if len(diagonal) else []
    spots = np.arange(1, len(diagonal) + 1)
    places = [np.column_stack([np.ones_like(spots), spots, spots])]
    sources, factors = [diagonal], [np.concatenate([np.ones(form.zero), -np.ones(form.zero), np.ones(form.nonneg)])]
    start = form.zero + form.nonneg
    for side in form.soc:  # ‖x‖ ≤ t as [[t, xᵀ], [x, tI]] ⪰ 0
        sizes.append(side)
        first, rest = np.ones(side - 1, dtype=int), np.arange(2, side + 1)
        i, j = np.concatenate([np.arange(1, side + 1), first]), np.concatenate([np.arange(1, side + 1), rest])
        places.append(np.column_stack([np.full(len(i), len(sizes)), i, j]))
        sources.append(np.concatenate([np.full(side, start), start + np.arange(1, side)]))
        factors.append(np.ones(len(i)))
        start += side
    for side in form.psd:
        sizes.append(side)
        rows, columns, scale = _triangle(side)
        places.append(np.column_stack([np.full(len(rows), len(sizes)), columns + 1, rows + 1]))
        sources.append(start + np.arange(len(rows)))
        factors.append(scale)
        start += len(rows)
    source, factor = np.concatenate(sources), np.concatenate(factors)
    E = sp.csr_matrix((factor, (np.arange(len(source)), source)), shape=(len(source), len(form.b)))
    return np.concatenate(places), E, sizes
