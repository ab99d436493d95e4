"""One feature, ReLU neurons with bias: the least spread output in closed form, under weight decay or a norm bound."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from convexwgan.arrays import Float64, like, namespace, to_numpy64
from convexwgan.errors import InputError
from convexwgan.geometry.least_spread import LeastSpread, least_spread, least_spread_at
from convexwgan.spec.regularizer import Regularizer
from convexwgan.spec.user_functions import sees_order, sees_sign, user_number
from convexwgan.theory.candidate import Candidate
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form
from convexwgan.theory.line_adversary import custom_multipliers, line_neurons

_HALVINGS = 200


def solve_least_spread(form: Form, data: GameData) -> Candidate:
    """w = the least spread numbers within β_d of x repeated n_f/n_r times; each row of G at its place in the order."""
    if form.regularizer.kind == "custom":
        return _custom_least_spread(form.regularizer, data)
    x = to_numpy64(data.X)[:, 0]
    beta = balanced_beta(data) if form.discriminator.norm_bound else data.beta
    w = np.repeat(least_spread(x, beta / data.real_weight).w, data.n_fake // data.n_real)
    return line_candidate(w, beta, data)


def _custom_least_spread(regularizer: Regularizer, data: GameData) -> Candidate:
    """The least spread numbers of the sum that the custom cost likes best, and the prices of the quantiles.

    φ(δ) = min R_g(w) s.t. dist ≤ β, Σw = Σx + δ is convex on [−β, β], and its minimiser the least spread at δ.

    Raises:
        InputError: the cost sees the order of the outputs.
    """
    assert regularizer.value is not None
    refuse_ordered_cost(data)
    x, value, copies = np.sort(to_numpy64(data.X)[:, 0]), regularizer.value, data.n_fake // data.n_real
    beta = data.beta / data.real_weight

    def spread(shift: float) -> LeastSpread:
        return least_spread_at(x, beta, shift)

    def cost(shift: float) -> float:
        return user_number("value", value, np.repeat(spread(shift).w, copies)[:, None])

    even = not sees_sign(value, data.n_fake, data.largest)
    best = least_spread(x, beta) if even else spread(_least_of_convex(cost, -beta, beta))
    prices = custom_multipliers(best, data)
    candidate = line_candidate(np.repeat(best.w, copies), data.beta, data)
    return candidate.having(multipliers={**candidate.multipliers, "H": prices})


def refuse_ordered_cost(data: GameData) -> None:
    """Refuse a custom cost that some order of the outputs changes, since they are sorted here.

    Raises:
        InputError: as said.
    """
    value = data.wgan.regularizer.value
    if value is not None and sees_order(value, data.n_fake, data.largest):
        remedy = "outputs are sorted here, which a cost must not see; weigh no output more than another"
        raise InputError("value of Regularizer.custom", value, "be the same for every order of the outputs", remedy)


def _least_of_convex(function: Callable[[float], float], low: float, high: float) -> float:
    """argmin of a convex function by golden sections; 0 where nothing is less than there."""
    ratio, ends = (math.sqrt(5.0) - 1.0) / 2.0, (low, high)
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    f_left, f_right = function(left), function(right)
    while high - low > 1e-12 * (ends[1] - ends[0]):
        if f_left <= f_right:
            high, right, f_right = right, left, f_left
            left = high - ratio * (high - low)
            f_left = function(left)
        else:
            low, left, f_left = left, right, f_right
            right = low + ratio * (high - low)
            f_right = function(right)
    found = (0.0, *ends, 0.5 * (low + high))
    return min(found, key=function)


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
