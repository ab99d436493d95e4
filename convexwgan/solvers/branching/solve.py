"""Branch and bound from data to candidate: a free generator against ReLU neurons without bias, in the plane."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from convexwgan.arrays import Float64, to_numpy64
from convexwgan.errors import InputError
from convexwgan.solvers.branching.incumbent import BestSamples, Callback
from convexwgan.solvers.branching.relaxation import Parts, PlanarGame, discriminator
from convexwgan.solvers.branching.search import Search
from convexwgan.solvers.linearised_zonotopes import Target
from convexwgan.solvers.population.solve import range_of, solve_population
from convexwgan.solvers.run import Limits
from convexwgan.theory.candidate import Candidate
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form

_NARROW, _WIDE = 1e-6, 2e-8
"""How much of β_d is left unused, so that the stored output is feasible after rounding."""
_ROOT_SHARE, _FIRST_SHARE = 0.1, 0.1
"""Of the time limit, for the bound at the root and for the first descents."""
TIME_LIMIT = 60.0
"""Where the user sets none: the tree may grow without end."""
RANK = 2


def solve_global(
    form: Form, data: GameData, limits: Limits, callback: Callback | None = None, start: Float64 | None = None
) -> Candidate:
    """min (β_g/2)w_f‖G‖_F² s.t. |Σ w_r(x_iᵀu)₊ − Σ w_f(g_iᵀu)₊| ≤ β_d for ‖u‖ ≤ 1: both bounds, closed by branching.

    Every node says how many samples are in which sectors; its relaxation is a measure with those masses. The lowest
    node is solved or split, the measures of nodes are rounded and descend to feasible samples. ``start``: an output
    (n_f, d) to descend from first.

    Returns:
        Candidate whose weights are G (n_f, d), whose neurons prove the bound at the root, and whose multipliers are
        the tree that proves the lower bound; ``stopped`` is "interrupt", "time_limit", "max_iter" or "depth" (sectors
        of 2π/4096 are not cut) where the gap is not closed.

    Raises:
        InputError: data of rank above 2.

    Reference:
        MATH 4; docs/relu_discriminators.md.
    """
    X = to_numpy64(data.X)
    basis = _plane(X)
    began = time.perf_counter()
    limit = TIME_LIMIT if limits.time_limit is None else limits.time_limit
    deadline = began + limit
    target, unit = _target(data, X @ basis)
    best = BestSamples(target, data.wgan.regularizer.strength * unit**2 / data.fake_weight, deadline, callback)
    first, search, stopped = Candidate(), None, None
    try:
        share = replace(limits, time_limit=_ROOT_SHARE * limit, max_iter=None, tol=min(1e-7, limits.tol))
        first = solve_population(form, data, share)
        game = PlanarGame(target.X, data.n_fake, float(data.beta) / unit)
        search = _search(game, first, basis, limits.tol, best)
        best.report(search.tree.lower)
        if start is not None:
            best.descend(data.fake_weight * start @ basis / unit)
        best.first(_vectors(first, basis, data, unit), search.tree.lower, began + _FIRST_SHARE * limit)
        stopped = search.run(deadline, limits.max_iter or np.inf)
    except KeyboardInterrupt:
        stopped = "interrupt"
    G = None if best.G is None else best.G @ basis.T * (unit / data.fake_weight)
    if search is None:
        return Candidate(weights=G, neurons=first.neurons, stopped=stopped)
    nodes, neurons = search.tree.proof()
    tree: dict[str, Any] = {"tree_basis": basis, "tree_nodes": nodes, "tree_neurons": neurons}
    counts = {"relaxations": search.relaxations, "programs": search.programs, "descents": search.descents}
    stats = {"nodes": len(search.tree.nodes), "proof": len(nodes), **counts}
    return Candidate(weights=G, neurons=first.neurons, multipliers=tree, stopped=stopped, stats=stats)


def _plane(X: Float64) -> Float64:
    """An orthonormal basis (d, 2) of the range of the data; one that is a line gets a column of zeros."""
    basis = range_of(X)
    if basis.shape[1] > RANK:
        remedy = 'method="convex_concave" brackets such data; branching over cones in space is not done'
        raise InputError("rank of X", basis.shape[1], f'be at most {RANK} for method="global"', remedy)
    return basis if basis.shape[1] == RANK else np.column_stack([basis, np.zeros(len(basis))])


def _target(data: GameData, planar: Float64) -> tuple[Target, float]:
    """The game for G' = w_fG against w_rX, in units where Σ w_r‖x_i‖ = 1, a little stricter than asked."""
    X = data.real_weight * planar
    unit = float(np.linalg.norm(X, axis=1).sum()) or 1.0
    slack = _NARROW if "float32" in str(data.X.dtype) else _WIDE
    beta = float(data.beta) / unit
    margin = min(slack * beta + 1e-9, 0.5 * beta)  # what the proof of dist may add
    return Target(X / unit, data.n_fake, beta - margin, 0.5 * margin), unit


def _search(game: PlanarGame, first: Candidate, basis: Float64, tol: float, best: BestSamples) -> Search:
    """The root, bounded by the discriminator of the population game, whose neurons and atoms start its relaxation."""
    if first.neurons is None or len(first.neurons.v) == 0:
        return Search(game, tol, [], Parts.first(), best)
    u, v = to_numpy64(first.neurons.u) @ basis, to_numpy64(first.neurons.v)
    angles = np.arctan2(u[:, 1], u[:, 0])
    found = discriminator(game, angles, v)
    parts, kept = Parts.first(), v != 0.0
    cuts, sides = np.concatenate([parts.cuts, angles[kept]]), np.concatenate([parts.sides, np.sign(v[kept])])
    atoms = np.zeros((0, 2)) if first.weights is None else to_numpy64(first.weights)[:, :-1] @ basis
    parts = Parts(cuts, sides, np.arctan2(atoms[:, 1], atoms[:, 0]))
    return Search(game, tol, [] if found is None else [found[0]], parts, best)


def _vectors(first: Candidate, basis: Float64, data: GameData, unit: float) -> Float64:
    """The measure as one vector an atom, in the units of the search."""
    if first.weights is None:
        return np.zeros((0, 2))
    table = to_numpy64(first.weights)
    return np.asarray(data.mass_fake * table[:, -1:] * (table[:, :-1] @ basis) / unit)
