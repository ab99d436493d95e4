"""The population game from data to candidate: units, rank, exchange, and back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from convexwgan.arrays import Float64, to_numpy64
from convexwgan.errors import InputError
from convexwgan.solvers.population.bounds import Best
from convexwgan.solvers.population.exchange import Start, exchange
from convexwgan.solvers.population.sides import Directions, Points, Side
from convexwgan.solvers.run import Limits
from convexwgan.theory.candidate import Candidate, Neurons
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form

_RANK = 1e-12
_SEARCH_SHARE = 0.8
"""Of a time limit; the rest is left for the certificate, whose branch and bound is as long as its work needs."""
Callback = Callable[[dict[str, Any]], object]


def solve_population(form: Form, data: GameData, limits: Limits, callback: Callback | None = None) -> Candidate:
    """min (β_g/2)N_f∫‖g‖²dν s.t. dist(X, ν) ≤ β_d [or + dist] over distributions ν, by columns and cuts.

    Returns:
        Candidate whose weights are the table [atoms | probabilities] and whose neurons are (u [, b], v).

    Raises:
        InputError: a bias with sums over different counts, where dist is infinite.

    Reference:
        MATH 4, the population game.
    """
    bias, beta = form.discriminator.bias, form.discriminator.beta
    if bias and data.mass_gap != 0.0:
        remedy = 'dist is infinite otherwise, as b → ∞; set normalize="mean", or leave n_fake out'
        raise InputError("n_fake", data.n_fake, f"equal n_r = {data.n_real} for a discriminator with bias", remedy)
    X = to_numpy64(data.X)
    basis = range_of(X)
    rows = X @ basis
    lengths = np.linalg.norm(rows, axis=1)
    unit = float(lengths.max()) if bias else data.real_weight * float(lengths.sum())
    unit = unit or 1.0
    mass = data.mass_fake if bias else 1.0
    side = _side(rows / unit, data, bias, beta is None, unit)
    scaled = None if beta is None else beta / (unit * mass)
    deadline = None if limits.time_limit is None else time.perf_counter() + _SEARCH_SHARE * limits.time_limit
    starts = _planar_starts(side, scaled) if rows.shape[1] == 2 and not bias else ()
    report = None if callback is None else _reporter(callback, _value_unit(data, unit, bias, beta is None))
    best = exchange(
        side, scaled, 0.5 * limits.tol, max_rounds=limits.max_iter, deadline=deadline, starts=starts, callback=report
    )
    return _candidate(best, side, data, basis, unit, bias)


def _value_unit(data: GameData, unit: float, bias: bool, is_penalty: bool) -> float:
    """What one unit of the scaled objective is in the user's."""
    mass = data.mass_fake
    if is_penalty:
        return unit * (mass if bias else 1.0)
    return data.wgan.regularizer.strength * unit**2 * (mass if bias else 1.0 / mass)


def _reporter(callback: Callback, value_unit: float) -> Callable[[float, float], None]:
    """The exchange's bounds as the user's callback wants them; the certificate is still to come."""
    start = time.perf_counter()

    def report(lower: float, upper: float) -> None:
        seconds = time.perf_counter() - start
        bounds = {"lower": lower * value_unit, "upper": upper * value_unit}
        callback({"stage": "column_generation", **bounds, "seconds": seconds})

    return report


def _planar_starts(side: Side, beta: float | None) -> Iterator[Start]:
    """Shortest tours of discs, the last of them the optimum unless it would stick out of the polygon by more than β."""
    from convexwgan.solvers.conic.touring_discs import tours

    weighted = side.weights[:, None] * side.X
    for tour in tours(weighted[weighted.any(axis=1)], beta, side.kappa):
        if len(tour.vectors):
            lengths = np.linalg.norm(tour.vectors, axis=1)
            yield Start(tour.vectors / lengths[:, None], lengths, tour.neurons, tour.multipliers)


def range_of(X: Float64) -> Float64:
    """An orthonormal basis (d, r) of the range of the data: no atom and no neuron needs to leave it."""
    _, s, Vt = np.linalg.svd(X, full_matrices=False)
    rank = max(int((s > _RANK * s[0]).sum()), 1) if s[0] > 0.0 else 1
    return np.eye(X.shape[1]) if rank == X.shape[1] else Vt[:rank].T


def _side(rows: Float64, data: GameData, bias: bool, is_penalty: bool, unit: float) -> Side:
    """The game in units where the data have size 1; under a norm bound the cost keeps its weight against dist.

    Without bias the value is (β_g/2)(unit·τ)²/N_f + unit·t; with bias N_f((β_g/2)unit²∫‖g‖² + unit·t).
    """
    strength, w = data.wgan.regularizer.strength, data.real_weight
    if bias:
        kappa = strength * unit if is_penalty else 1.0
        return Points(rows, np.full(len(rows), 1.0 / len(rows)), kappa)
    kappa = strength * unit / data.mass_fake if is_penalty else 1.0
    return Directions(rows, np.full(len(rows), w), kappa)


def _candidate(best: Best, side: Side, data: GameData, basis: Float64, unit: float, bias: bool) -> Candidate:
    assert best.atoms is not None
    assert best.measure is not None
    assert best.neurons is not None
    assert best.multipliers is not None
    strength, mass = data.wgan.regularizer.strength, data.mass_fake
    is_penalty = data.wgan.players[0].norm_bound
    if bias:
        atoms, p = unit * best.atoms @ basis.T, best.measure / best.measure.sum()
        u = np.column_stack([best.neurons[:, :-1] @ basis.T, unit * best.neurons[:, -1]])
        # The program's λ belongs to costs (κ/2)‖g‖² and neurons of data of size 1: v = β_g·unit·λ/κ in the user's.
        v = best.multipliers if is_penalty else strength * unit * best.multipliers
    else:
        total = float(best.measure.sum())
        atoms = best.atoms @ basis.T * (total * unit / mass)
        p = best.measure / total if total > 0.0 else np.full(len(atoms), 1.0 / len(atoms))
        u, v = best.neurons @ basis.T, best.multipliers
        if not is_penalty:  # any factor will do: the judge finds the best one; τ* d/dτ of the value is the right size
            v = v * (strength * unit * total / mass)
    stats = {"rounds": best.rounds, "atoms": len(p), "neurons": len(v)}
    table = np.column_stack([atoms, p])
    return Candidate(weights=table, neurons=Neurons(u, v), stopped=best.stopped, stats=stats)
