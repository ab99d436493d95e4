"""Solve a finite game: the conic program, its multipliers polished by Newton's method on the KKT conditions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from convexwgan.arrays import Float64
from convexwgan.geometry.arrangements import Arrangement, enumerate_cells
from convexwgan.geometry.pricing import price_scalar
from convexwgan.solvers.conic.finite_game import finite_game_program, lipschitz_pairs
from convexwgan.solvers.conic.run import ConicResult, ConicStatus, run
from convexwgan.solvers.finite_game_newton import polish
from convexwgan.solvers.finite_game_scaling import FiniteGameData, scaled
from convexwgan.spec.finite_discriminator import LipschitzDiscriminator, NeuronDiscriminator

Bools = npt.NDArray[np.bool_]
MAX_ROUNDS = 60
_CELL_TOLERANCES = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-8)
"""Of Clarabel over cells: neighbouring cells share neurons, and a solver pushed further into that tie breaks down."""


@dataclass(frozen=True)
class SaddlePoint:
    """What the solvers found, to be judged: arrays by name, and how it went.

    ``values`` holds "D" and the parts of the class, ``multipliers`` "p_g", "tilt" and "flow" (n, n); both are empty
    where the solver left none.
    """

    status: ConicStatus
    values: dict[str, Float64]
    multipliers: dict[str, Float64]
    seconds: float
    stopped: str | None
    info: dict[str, Any]


def solve_finite_game(game: FiniteGameData, settings: Mapping[str, Any], polished: bool = True) -> SaddlePoint:
    """The saddle point of a finite game from its conic program.

    A ReLU class is a program over the cells of a hyperplane arrangement: those that exact pricing asks for are added
    until none would pay (at most ``MAX_ROUNDS`` times).

    Args:
        settings: solver, tol, max_iter, time_limit, verbose, options of ``conic.run``.
        polished: whether Newton's method on the KKT conditions follows, where the class is all D or Φw.
    """
    start = time.perf_counter()
    small, units = scaled(game)
    is_relu = isinstance(game.discriminator, NeuronDiscriminator) and game.discriminator.discriminator.kind == "relu"
    result, info = _over_cells(small, settings) if is_relu else (_run(small, settings, None), {})
    values, multipliers = units.undo(dict(result.values)), dict(result.multipliers)
    if isinstance(small.discriminator, LipschitzDiscriminator) and "flow" in multipliers:
        multipliers["flow"] = _square(small.discriminator, multipliers["flow"])
    if values and polished and game.against is None:
        raw = multipliers["p_g"]
        values, multipliers["p_g"] = polish(
            game.p_data, game.divergence, game.discriminator, game.support, values, multipliers["p_g"]
        )
        info = info | {"polished by": float(np.max(np.abs(multipliers["p_g"] - raw), initial=0.0))}
    info = {"solver": result.solver, "solver status": result.solver_status, "iterations": result.iterations} | info
    return SaddlePoint(result.status, values, multipliers, time.perf_counter() - start, result.stopped, info)


def _run(game: FiniteGameData, settings: Mapping[str, Any], cells: Bools | None) -> ConicResult:
    model = finite_game_program(game.p_data, game.divergence, game.discriminator, game.support, cells, game.against)
    with np.errstate(all="ignore"):  # CVXPY evaluates the objective at a D that may lie a rounding outside its domain
        return run(model, **settings)


def _square(discriminator: LipschitzDiscriminator, flow: Float64) -> Float64:
    table = np.zeros(discriminator.distances.shape)
    table[lipschitz_pairs(discriminator.distances)] = np.maximum(flow, 0.0)
    return table


def _over_cells(game: FiniteGameData, settings: Mapping[str, Any]) -> tuple[ConicResult, dict[str, Any]]:
    assert isinstance(game.discriminator, NeuronDiscriminator), "only ReLU neurons have cells"
    X, B = game.discriminator.inputs, game.discriminator.bound
    if not np.any(X):
        return _run(game, settings, np.zeros((1, len(X)), dtype=np.bool_)), {"rounds": 1, "cells": 0}
    if (settings.get("solver") or "CLARABEL").upper() == "CLARABEL":
        settings = {**settings, "options": _CELL_TOLERANCES | dict(settings.get("options") or {})}
    arrangement = enumerate_cells(X)
    cells = _patterns(X, np.vstack([np.eye(X.shape[1]), -np.eye(X.shape[1])]))
    tol = settings.get("tol") or 1e-7
    result = _run(game, settings, cells)
    rounds, info = 1, {"rounds": 1, "cells": len(cells)}
    while result.values and rounds < MAX_ROUNDS:
        y = result.multipliers["tilt"]
        sizes, neurons = _priced(arrangement, X, y)
        used = np.vstack([result.values["a"], result.values["b"]])
        missed = B * max(sizes) - float(np.abs(np.maximum(X @ used.T, 0.0).T @ y).sum())
        cells, before = np.unique(np.vstack([cells, _patterns(X, neurons)]), axis=0), len(cells)
        if len(cells) == before or missed <= 0.3 * tol:
            break
        new = _run(game, settings, cells)
        if not new.values:  # the last cells broke the solver: what it had found without them stays
            return result, info | {"stopped by": new.solver_status}
        result, rounds = new, rounds + 1
        info = {"rounds": rounds, "cells": len(cells)}
    return result, info


def _priced(arrangement: Arrangement, X: Float64, y: Float64) -> tuple[list[float], Float64]:
    """The best neuron of either sign against y: the largest ±Σ y_i (x_iᵀu)₊, ‖u‖ ≤ 1."""
    found = [price_scalar(arrangement, X, sign * y) for sign in (1.0, -1.0)]
    return [one.value for one in found], np.array([one.u for one in found])


def _patterns(X: Float64, neurons: Float64) -> Bools:
    """1[x_iᵀu > 0], shape (k, n), each once."""
    return np.asarray(np.unique(neurons @ X.T > 0, axis=0), dtype=np.bool_)
