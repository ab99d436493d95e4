"""Theorem 4.1, equation 15: quadratic discriminator, linear generator: singular value thresholding in closed form."""

from __future__ import annotations

from convexwgan.theory.data import GameData
from convexwgan.theory.equation_4_free_generator import convex_in_S_only, rank_condition
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.moment_reduction import MomentReduction
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Condition


class LinearThreshold(MomentReduction):
    """W = Q_kΛ_k^{−½}(Σ_k² − β_d)^½V_kᵀ with ZᵀZ = QΛQᵀ; feasible iff rank(Z) ≥ k = #{σ_i² > β_d}."""

    name = "singular values are thresholded, then whitened noise is coloured"
    citation = "Sahiner et al. 2022, Theorem 4.1 and eq 15; infeasibility by Weyl MATH 3.3 (ours)"
    claim = "W* = (ZᵀZ)^{−½}(Σ² − β_d I)₊^½ Vᵀ when rank(Z) ≥ k"

    def accepts(self, form: Form) -> Acceptance:
        """Whether second moments are matched by a linear generator under weight decay, paid for by the output."""
        if form.stage is not Stage.COVARIANCE or not form.is_linear or form.discriminator.norm_bound:
            return ELSEWHERE
        if form.regularizer.kind == "weights":
            return ELSEWHERE
        return YES if form.regularizer.kind == "output" else convex_in_S_only(form)

    def apply(self, form: Form) -> Form:
        return form.at(Stage.THRESHOLD)

    def conditions(self, form: Form, data: GameData) -> tuple[Condition, ...]:
        return (rank_condition(data),)
