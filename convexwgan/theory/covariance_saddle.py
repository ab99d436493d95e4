"""Quadratic discriminator as a game in moments: the generator chooses S, the discriminator R."""

from __future__ import annotations

from convexwgan.theory.data import GameData
from convexwgan.theory.equation_4_free_generator import rank_condition
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.moment_reduction import MomentReduction
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Condition


class CovarianceSaddle(MomentReduction):
    """min_{S ⪰ 0} max_R (β_g/2) tr S + ⟨R, M − S⟩ − β_d‖R‖_*: R = Σv_ju_ju_jᵀ is the discriminator xᵀRx."""

    name = "both players in second moments"
    citation = "Sahiner et al. 2022, eq 14 and its dual MATH 3.2 (norm bound: eq 36)"
    claim = "‖M − S‖₂ ≤ β_d is max_R ⟨R, M − S⟩ − β_d‖R‖_* ≤ 0: convex in S, concave in R, with a saddle point"
    cost = 1000.0

    def accepts(self, form: Form) -> Acceptance:
        """Whether second moments are matched under ``Regularizer.output``, with no skip."""
        reached = form.is_free or form.is_linear
        return YES if form.stage is Stage.COVARIANCE and reached and form.regularizer.kind == "output" else ELSEWHERE

    def apply(self, form: Form) -> Form:
        return form.at(Stage.COVARIANCE_SADDLE)

    def conditions(self, form: Form, data: GameData) -> tuple[Condition, ...]:
        return () if form.discriminator.norm_bound else (rank_condition(data),)
