"""Last forms that are games, solved as games: from a form and its data to a Candidate."""

from __future__ import annotations

import numpy as np

from convexwgan.arrays import Float64, like, to_numpy64
from convexwgan.errors import InputError
from convexwgan.geometry.spectra import eigh_descending
from convexwgan.solvers.line import line_candidate
from convexwgan.solvers.line_saddle import LineSaddle, solve_line_game
from convexwgan.solvers.moment_saddle import solve_moment_game
from convexwgan.solvers.run import Limits
from convexwgan.theory.candidate import Candidate, MomentPoint, Neurons
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form, Stage

LARGEST_LINE = 64
"""Outputs of a game on the line: the paper's game has 4(n + 1)² blocks, and is there as a reference."""


def solve_saddle(form: Form, data: GameData, limits: Limits) -> Candidate:
    """The candidate of a last form whose method is saddle.

    Raises:
        InputError: more outputs on the line than ``LARGEST_LINE``.
    """
    return _line(form, data, limits) if form.stage is Stage.LINE_SADDLE else _moments(form, data, limits)


def _moments(form: Form, data: GameData, limits: Limits) -> Candidate:
    """S cut to the rank that the noise carries; R is the discriminator."""
    beta = None if form.discriminator.norm_bound else data.beta
    found = solve_moment_game(
        to_numpy64(data.moments.second), beta, form.regularizer.strength,
        tol=limits.tol, max_iter=limits.max_iter or 20_000, time_limit=limits.time_limit,
    )  # fmt: skip
    values, vectors = eigh_descending(found.S)
    k = min(int((values > 0.0).sum()), data.rank)
    reference = data.moments.first
    point = MomentPoint(like(reference, vectors[:, :k]), like(reference, values[:k]))
    stats = {"iterations": found.iterations}
    return Candidate(moments=point, multipliers={"R": like(reference, found.R)}, stopped=found.stopped, stats=stats)


def _line(form: Form, data: GameData, limits: Limits) -> Candidate:
    """Samples repeated n_f/n_r times and β_d/w_f make a game of sums; its prices are multipliers of the quantiles."""
    if data.n_fake > LARGEST_LINE:
        remedy = 'the paper\'s game has 4(n_f + 1)² blocks; method="auto" solves any size'
        raise InputError("n_fake", data.n_fake, f'be at most {LARGEST_LINE} for method="saddle"', remedy)
    x = np.repeat(np.sort(to_numpy64(data.X)[:, 0]), data.n_fake // data.n_real)
    beta = None if form.discriminator.norm_bound else data.beta / data.fake_weight
    found = solve_line_game(
        x, beta, form.regularizer.strength,
        tol=limits.tol, max_iter=limits.max_iter or 100_000, time_limit=limits.time_limit,
    )  # fmt: skip
    candidate = line_candidate(found.w, found.beta, data)
    stats = {"iterations": found.iterations, "saddle_values": found.values}
    multipliers = {"H": _quantile_multipliers(found)}
    return candidate.having(multipliers=multipliers, neurons=_neurons(found, x), stopped=found.stopped, stats=stats)


def _quantile_multipliers(found: LineSaddle) -> Float64:
    """(n, 2): μ_k on B_k(w) − B_k(x), ν_k on T_{n−k}(w) − T_{n−k}(x), k = 1, …, n; T_n is B_n."""
    n, blocks = len(found.w), found.blocks
    H = np.zeros((n, 2))
    for side, sign, size, price in zip(blocks.side, blocks.sign, blocks.fake, found.prices, strict=True):
        if size == 0:
            continue
        if side < 0:  # the largest of −x are the smallest of x
            H[size - 1, 0] += sign * price
        elif size == n:
            H[n - 1, 0] -= sign * price
        else:
            H[n - size - 1, 1] -= sign * price
    return H


def _neurons(found: LineSaddle, x: Float64) -> Neurons:
    """One neuron for each side σ and size |B|, (σt − θ)₊ with θ halfway between the outputs that B parts.

    The bias is what the saddle point leaves open where |A| = |B|; halfway both neighbours are minimisers of
    (β_g/2)t² − D(t).
    """
    n, blocks = len(x), found.blocks
    u, b, v = [], [], []
    for side in (1, -1):
        ws, far = np.sort(side * found.w)[::-1], float(np.ptp(x) + np.abs(x).max() + np.abs(found.w).max())
        for size in range(1, n + 1):
            chosen = (blocks.side == side) & (blocks.fake == size)
            u.append(float(side))
            b.append(far if size == n else -0.5 * float(ws[size - 1] + ws[size]))
            v.append(float((blocks.sign * found.prices)[chosen].sum()))
    weights = np.array(v)
    keep = np.abs(weights) > 1e-9 * float(np.abs(weights).max(initial=0.0))
    return Neurons(u=np.array(u)[keep][:, None], v=weights[keep], b=np.array(b)[keep])
