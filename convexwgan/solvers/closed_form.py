"""The closed forms of MATH 3.1–3.6, written once over the array API; computed in float64 on the data's device.

Each returns a Candidate: the moments of the output (or the weights, where only the mean matters) and the
multipliers of the reduced problem. What they are worth is decided elsewhere, by ``certificates/``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convexwgan.arrays import Array, like, namespace, to_numpy64
from convexwgan.geometry.spectra import singular_value_threshold
from convexwgan.solvers.line import solve_least_spread
from convexwgan.theory.candidate import Candidate, MomentPoint
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.realization import mean_weights
from convexwgan.theory.shifted_threshold import mean_tolerance


def solve_closed_form(form: Form, data: GameData) -> Candidate:
    """The candidate of a last form whose method is closed_form."""
    return _RULES[form.stage](form, data)


def mean_shrinkage(form: Form, data: GameData) -> Candidate:
    """MATH 3.1: s ∥ m with ‖s‖ = (‖m‖ − β_d)₊, or min(‖m‖, ρ/β_g) under a norm bound; y = (β_g/ρ) s.

    With ``weights``, ρ becomes ‖z̄‖² and W = z̄ sᵀ/‖z̄‖². At ‖s‖ = ρ/β_g < ‖m‖ the multiplier is the unit vector m/‖m‖.
    """
    m, size = data.moments.first, data.mean_norm
    strength = form.regularizer.strength
    stiffness = _mean_stiffness(form, data)
    if data.mean_is_zero:
        return _unmovable_mean(form, data)
    length = min(size, stiffness / strength) if form.discriminator.norm_bound else max(size - data.beta, 0.0)
    s = m * (length / size) if size > 0 else m
    weights = mean_weights(s, data) if form.regularizer.kind == "output" else _least_weights(s, data)
    return Candidate(weights=weights, multipliers={"y": (strength / stiffness) * s})


def _mean_stiffness(form: Form, data: GameData) -> float:
    """How far one unit of cost moves the mean: ρ for output, ‖z̄‖² for weights."""
    if form.regularizer.kind == "output":
        return data.rho
    xp = namespace(data.latent_mean)
    return float(xp.sum(data.latent_mean**2))


def _least_weights(s: Array, data: GameData) -> Array:
    z_bar = data.latent_mean
    xp = namespace(z_bar)
    return z_bar[:, None] * s[None, :] / xp.sum(z_bar**2)


def _unmovable_mean(form: Form, data: GameData) -> Candidate:
    """z̄ = 0: s = 0 whatever the weights. The cheapest generator is 0, feasible iff ‖m‖ ≤ β_d."""
    m, size = data.moments.first, data.mean_norm
    if form.discriminator.norm_bound:
        y = m / size if size > 0 else m
        return Candidate(weights=mean_weights(0.0 * m, data), multipliers={"y": y})
    if size > data.beta:
        reason = f"z̄ = 0, so the mean of the output is 0 for every W, and ‖m‖ = {size:.6g} > β_d = {data.beta:.6g}"
        return Candidate(weights=mean_weights(0.0 * m, data), infeasible=reason, multipliers={"y": m / size})
    return Candidate(weights=mean_weights(0.0 * m, data), multipliers={"y": 0.0 * m})


def eigenvalue_threshold(form: Form, data: GameData) -> Candidate:
    """MATH 3.2, 3.3, 3.6: S = (M − t)₊ with t = β_d, or t = σ²_{j+1}, j = min(⌊2/β_g⌋, rank) under a norm bound."""
    values, vectors = data.spectrum
    if form.discriminator.norm_bound:
        wanted = _budget(form, data.dim)
        kept = min(wanted, data.rank)
        t = max(_entry(values, kept), 0.0)
        multipliers = _norm_bound_multipliers(form, data, t, None) if kept == wanted or t == 0 else {}
        return _thresholded(values, vectors, t, data.rank, None, multipliers)
    multipliers = _decay_multipliers(form, values, vectors, data)
    candidate = _thresholded(values, vectors, data.beta, data.rank, None, multipliers)
    return candidate.having(infeasible=_rank_shortage(values, data.rank, data))


def shifted_threshold(form: Form, data: GameData) -> Candidate:
    """MATH 3.5: s = m, S = mmᵀ/ρ + (C − t)₊ with t = β_d, or t = max(γ_{j+1}, −γ_min, 0) under a norm bound."""
    m = data.moments.first
    if data.mean_is_zero and data.mean_norm > mean_tolerance(data):
        reason = f"z̄ = 0, so s = m is impossible with ‖m‖ = {data.mean_norm:.6g} > 0"
        return Candidate(weights=mean_weights(0.0 * m, data), infeasible=reason)
    values, vectors = data.centred_spectrum
    mean = None if data.mean_is_zero else m
    rank = data.rank if data.mean_is_zero else data.rank - 1
    lowest = float(values[-1])
    if form.discriminator.norm_bound:
        wanted = _budget(form, data.dim)
        next_value = _entry(values, min(wanted, rank))
        t = max(next_value, -lowest, 0.0)
        exact = wanted <= rank or t == 0.0 or t == -lowest
        multipliers = _norm_bound_multipliers(form, data, t, lowest) if exact else {}
        return _thresholded(values, vectors, t, rank, mean, multipliers)
    if lowest < -data.beta - data.spectral_tolerance:
        worst = vectors[:, -1:]
        text = f"the smallest eigenvalue of M − mmᵀ/ρ is {lowest:.6g} < −β_d = {-data.beta:.6g}, and S ⪰ mmᵀ/ρ"
        ray = _factored(worst, -namespace(values).ones_like(values[:1]))
        return _thresholded(values, vectors, data.beta, rank, mean, ray).having(infeasible=text)
    candidate = _thresholded(values, vectors, data.beta, rank, mean, _decay_multipliers(form, values, vectors, data))
    return candidate.having(infeasible=_rank_shortage(values, rank, data))


def matched_spectra(form: Form, data: GameData) -> Candidate:
    """MATH 3.3, 3.6, ``weights``: the same S; norm bound: t = σ²_{j+1}, j = max{j ≤ r : Σ_{i≤j} 1/λ_i ≤ 2/β_g}."""
    values, vectors = data.spectrum
    if not form.discriminator.norm_bound:
        candidate = _thresholded(values, vectors, data.beta, data.rank, None, {})
        return candidate.having(infeasible=_rank_shortage(values, data.rank, data))
    lam = data.latent_spectrum.values
    xp = namespace(lam)
    price = xp.cumulative_sum(1.0 / lam)
    kept = int(xp.sum(xp.astype(price <= 2.0 / form.regularizer.strength, xp.int64)))
    return _thresholded(values, vectors, max(_entry(values, kept), 0.0), data.rank, None, {})


def mean_zonotope(form: Form, data: GameData) -> Candidate:
    """MATH 3.7: one neuron u = argmax 1ᵀ(Nu)₊, v = s/φ*; ‖s‖ = (‖m‖ − β_d)₊, norm bound: ‖m‖ if β_g < φ*, else 0."""
    m, size = to_numpy64(data.moments.first), data.mean_norm
    vertex, strength = data.farthest_vertex, form.regularizer.strength
    phi = data.fake_weight * vertex.value
    if form.discriminator.norm_bound:
        length, pull = (size, strength / phi) if strength < phi else (0.0, 1.0)
    else:
        length, pull = max(size - data.beta, 0.0), strength / phi if phi > 0 else 0.0
        if phi == 0.0 and size > data.beta:
            reason = f"Z = 0, so the output is 0 for all weights, and ‖m‖ = {size:.6g} > β_d = {data.beta:.6g}"
            return Candidate(infeasible=reason)
    direction = m / size if size > 0 else m
    v = (length / phi if phi > 0 else 0.0) * direction
    root = float(np.linalg.norm(v)) ** 0.5
    hidden = (root * vertex.u[:, None], v[None, :] / root) if root > 0 else (0.0 * vertex.u[:, None], 0.0 * v[None, :])
    multiplier = pull * direction if length > 0 or form.discriminator.norm_bound else 0.0 * direction
    return Candidate(hidden=hidden, multipliers={"y": like(data.moments.first, multiplier)})


_RULES: dict[Stage, Callable[[Form, GameData], Candidate]] = {
    Stage.MEAN_SHRINKAGE: mean_shrinkage,
    Stage.THRESHOLD: eigenvalue_threshold,
    Stage.SHIFTED_THRESHOLD: shifted_threshold,
    Stage.MATCHED_SPECTRA: matched_spectra,
    Stage.MEAN_ZONOTOPE: mean_zonotope,
    Stage.LEAST_SPREAD: solve_least_spread,
}


def _thresholded(
    values: Array, vectors: Array, t: float, rank: int, mean: Array | None, multipliers: dict[str, Array]
) -> Candidate:
    """The point S = (M − t)₊, kept to the rank available (equal to (M − t)₊ to rounding when feasible)."""
    variances = singular_value_threshold(values, t)
    xp = namespace(values)
    k = min(int(xp.sum(xp.astype(variances > 0, xp.int64))), rank)
    point = MomentPoint(vectors[:, :k], variances[:k], mean)
    return Candidate(moments=point, multipliers=multipliers, stats={"components": k, "threshold": t})


def _decay_multipliers(form: Form, values: Array, vectors: Array, data: GameData) -> dict[str, Array]:
    """R = (β_g/2) V_kV_kᵀ, k = #{σ_i² > β_d}: each kept component is a neuron of the optimal adversary."""
    xp = namespace(values)
    k = int(xp.sum(xp.astype(values > data.beta, xp.int64)))
    return _factored(vectors[:, :k], 0.5 * form.regularizer.strength * xp.ones_like(values[:k]))


def _budget(form: Form, dim: int) -> int:
    """⌊2/β_g⌋: how many components a discriminator of total weight 1 can hold at β_g/2 each; never more than d_r."""
    return int(min(2.0 / form.regularizer.strength, float(dim)))


def _norm_bound_multipliers(form: Form, data: GameData, t: float, lowest: float | None) -> dict[str, Array]:
    """R = (β_g/2) V_jV_jᵀ + what is left of the budget 1 on the direction that holds ‖M − S‖₂ at t (MATH 3.6)."""
    values, vectors = data.spectrum if lowest is None else data.centred_spectrum
    xp = namespace(values)
    half = 0.5 * form.regularizer.strength
    above = int(xp.sum(xp.astype(values > t, xp.int64)))
    if t <= 0.0:  # S = M: nothing holds dist_D up, every component is kept
        return _factored(vectors[:, :above], half * xp.ones_like(values[:above]))
    if lowest is not None and t == -lowest:
        strengths = xp.concat([half * xp.ones_like(values[:above]), (above * half - 1.0) * xp.ones_like(values[:1])])
        return _factored(xp.concat([vectors[:, :above], vectors[:, -1:]], axis=1), strengths)
    j = _budget(form, data.dim)  # ties at t included: they share the budget
    left = max(1.0 - j * half, 0.0)
    strengths = xp.concat([half * xp.ones_like(values[:j]), left * xp.ones_like(values[:1])])
    return _factored(vectors[:, : j + 1], strengths)


def _factored(directions: Array, strengths: Array) -> dict[str, Array]:
    xp = namespace(directions)
    return {"u": xp.matrix_transpose(directions), "v": strengths}


def _rank_shortage(values: Array, rank: int, data: GameData) -> str | None:
    """Weyl: S of rank ≤ r leaves ‖M − S‖₂ ≥ σ²_{r+1}; beyond β_d by more than rounding, nothing is feasible."""
    excess = _entry(values, rank)
    if excess <= data.beta + data.spectral_tolerance:
        return None
    return (
        f"the output has rank ≤ {rank}, so dist_D ≥ {excess:.6g} (eigenvalue {rank + 1}, Weyl) > β_d = {data.beta:.6g}"
    )


def _entry(values: Array, index: int) -> float:
    """Eigenvalue number index + 1, 0 past the end (M has no more)."""
    return float(values[index]) if 0 <= index < int(values.shape[0]) else 0.0
