"""One feature, ReLU neurons with bias: the least spread output in closed form, under weight decay or a norm bound."""

from __future__ import annotations

import numpy as np

from convexwgan.arrays import Float64, like, namespace, to_numpy64
from convexwgan.errors import InputError
from convexwgan.geometry.least_spread import least_spread
from convexwgan.theory.candidate import Candidate
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form
from convexwgan.theory.line_adversary import line_neurons

_HALVINGS = 200


def solve_least_spread(form: Form, data: GameData) -> Candidate:
    """w = the least spread numbers within β_d of x repeated n_f/n_r times; each row of G at its place in the order."""
    x = to_numpy64(data.X)[:, 0]
    beta = balanced_beta(data) if form.discriminator.norm_bound else data.beta
    w = np.repeat(least_spread(x, beta / data.real_weight).w, data.n_fake // data.n_real)
    return line_candidate(w, beta, data)


def balanced_beta(data: GameData) -> float:
    """The β at which β + V(β) is least, V(β) = min R_g s.t. dist ≤ β: where −V'(β) = Σ|v_j| crosses 1, by bisection."""
    x = to_numpy64(data.X)[:, 0]

    def variation(beta: float) -> float:
        return float(np.abs(line_neurons(least_spread(x, beta / data.real_weight), x, data).v).sum())

    low, high = 0.0, data.real_weight * (float(np.abs(x).sum()) + float(np.ptp(x)))
    if variation(low) <= 1.0:
        return low
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        low, high = (middle, high) if variation(middle) > 1.0 else (low, middle)
    return high


def line_candidate(w: Float64, beta: float, data: GameData) -> Candidate:
    """Sorted outputs as rows of G: in the order of the data, or along the leading direction of the noise.

    Raises:
        InputError: the noise of a ReLU generator cannot produce every output, so that the order is not free.
    """
    if not data.is_free:
        remedy = "drop parallel and zero rows, or draw noise of more dimensions"
        raise InputError("Z", data.Z, "let a ReLU generator reach every output in one dimension", remedy)
    xp = namespace(data.X)
    G = np.empty((data.n_fake, 1))
    G[_places(data), 0] = w
    return Candidate(weights=like(data.X, G, dtype=xp.float64), multipliers={"beta": np.asarray(beta)})


def _places(data: GameData) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
    """Which row of G gets the smallest, the second smallest, … output."""
    if data.wgan.players[1].kind == "relu":
        Z = to_numpy64(data.network_input)
        return np.argsort(Z @ np.linalg.svd(Z, full_matrices=False)[2][0], kind="stable")
    if data.n_fake == data.n_real:
        return np.argsort(to_numpy64(data.X)[:, 0], kind="stable")
    return np.arange(data.n_fake)
