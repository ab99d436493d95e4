"""Quadratic discriminator with skip: the mean is kept, the centred spectrum is thresholded (MATH 3.5)."""

from __future__ import annotations

import math

from convexwgan.arrays import eps_of, namespace
from convexwgan.theory.data import GameData
from convexwgan.theory.equation_4_free_generator import count_above
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.moment_reduction import MomentReduction
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Condition, no


class ShiftedThreshold(MomentReduction):
    """C = M − mmᵀ/ρ = Σγ_iq_iq_iᵀ: S = mmᵀ/ρ + (C − t)₊ and s = m; t = β_d, or by the rule of eq 36 for a norm bound.

    Feasible iff γ_min ≥ −β_d and #{γ_i > β_d} ≤ rank − 1 (one direction carries the mean). If z̄ = 0: iff m = 0
    and #{γ_i > β_d} ≤ rank.
    """

    name = "the mean is kept, centred eigenvalues are thresholded"
    citation = "MATH 3.5 (ours); Sahiner et al. 2022, Corollary 3.3 states the constraint"
    claim = "S = mmᵀ/ρ + (C − β_d)₊ with C = M − mmᵀ/ρ"

    def accepts(self, form: Form) -> Acceptance:
        """Whether mean and covariance are matched by outputs linear in their weights."""
        if form.stage is not Stage.MEAN_COVARIANCE or not (form.is_free or form.is_linear):
            return ELSEWHERE
        if form.regularizer.kind == "output":
            return YES
        return self._refusal(form)

    @staticmethod
    def _refusal(form: Form) -> Acceptance:
        from dataclasses import replace

        from convexwgan.spec.regularizer import Regularizer
        from convexwgan.spec.wgan import WGAN

        if form.regularizer.kind == "weights":
            remedy = WGAN(replace(form.discriminator, skip=False), form.generator, form.regularizer)
            return no(
                "with weights the mean and the spectrum compete for the same noise directions: no theorem orders them",
                remedy,
            )
        remedy = WGAN(form.discriminator, form.generator, Regularizer.output(1.0))
        return no(
            f"dist_D = ‖M − S‖₂ is convex in S = GᵀG, not in G or W, in which {form.regularizer!r} is convex", remedy
        )

    def apply(self, form: Form) -> Form:
        return form.at(Stage.SHIFTED_THRESHOLD)

    def conditions(self, form: Form, data: GameData) -> tuple[Condition, ...]:
        if data.mean_is_zero:
            zero = data.mean_norm <= mean_tolerance(data)
            return (Condition(f"z̄ = 0, so m = 0 is needed (‖m‖ = {data.mean_norm:.4g})", zero),)
        if form.discriminator.norm_bound:
            return (Condition(f"z̄ ≠ 0 (ρ = {data.rho:.4g})", True),)
        values = data.centred_spectrum[0]
        k = count_above(values, data.beta + data.spectral_tolerance)
        lowest = float(values[-1])
        return (
            Condition(
                f"γ_min = {lowest:.4g} ≥ −β_d = {-data.beta:.4g}", lowest >= -data.beta - data.spectral_tolerance
            ),
            Condition(f"rank − 1 = {data.rank - 1} ≥ k = #{{γ_i > β_d}} = {k}", data.rank - 1 >= k),
        )


def mean_tolerance(data: GameData) -> float:
    """Below this ‖m‖ is zero to rounding: 8·eps·√(n_r tr M), the error of a sum of centred samples."""
    trace = float(namespace(data.spectrum[0]).sum(data.spectrum[0]))
    return 8.0 * eps_of(data.X) * math.sqrt(data.n_real * trace)
