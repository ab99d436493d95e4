"""Linear discriminator, closed form: the mean is shrunk toward zero until it is β_d away (MATH 3.1)."""

from __future__ import annotations

from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Condition, Reduction, no


class MeanShrinkage(Reduction):
    """s = m(1 − β_d/‖m‖)₊; cheapest generator of mean s: W = A⁺z̄ sᵀ/ρ (output) or z̄ sᵀ/‖z̄‖² (weights), G = 1sᵀ/N_f.

    Norm bound: ‖s‖ = min(‖m‖, ρ/β_g), for weights min(‖m‖, ‖z̄‖²/β_g).
    """

    name = "the mean shrinks"
    citation = "Sahiner et al. 2022, Theorem 4.1 (eq 13); closed form MATH 3.1 (ours)"
    claim = "s = m(1 − β_d/‖m‖)₊"

    def accepts(self, form: Form) -> Acceptance:
        """Whether means are matched by outputs linear in their weights under a squared cost."""
        if form.stage is not Stage.MEAN or not (form.is_free or form.is_linear):
            return ELSEWHERE
        if not form.regularizer.is_quadratic:
            return no(f"{form.regularizer!r} has no closed form")
        return YES

    def apply(self, form: Form) -> Form:
        return form.at(Stage.MEAN_SHRINKAGE)

    def conditions(self, form: Form, data: GameData) -> tuple[Condition, ...]:
        if form.discriminator.norm_bound:
            return (Condition(f"‖m‖ = {data.mean_norm:.4g}, ρ = {data.rho:.4g}", True),)
        within = data.mean_norm <= data.beta
        if data.mean_is_zero:
            return (Condition(f"z̄ = 0, so ‖m‖ = {data.mean_norm:.4g} ≤ β_d = {data.beta:.4g}", within),)
        return (Condition(f"z̄ ≠ 0 (ρ = {data.rho:.4g})", True),)
