"""Quadratic discriminator as a semidefinite program in S (eq 14, relaxed over rank), two d × d blocks."""

from __future__ import annotations

from convexwgan.theory.data import GameData
from convexwgan.theory.equation_4_free_generator import rank_condition
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.moment_reduction import MomentReduction
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Condition


class CovarianceProgram(MomentReduction):
    """min (β_g/2) tr S s.t. −β_d I ⪯ M − S ⪯ β_d I, S ⪰ 0 [S ⪰ mmᵀ/ρ, s = m]: exact when the noise carries its rank."""

    name = "second moments in a semidefinite program"
    citation = "Sahiner et al. 2022, eq 14 (norm bound: eq 36)"
    claim = "G enters through S = GᵀG only, and every S ⪰ 0 of rank ≤ rank(Z) is reached"
    cost = 100.0

    def accepts(self, form: Form) -> Acceptance:
        """Whether second moments are matched under ``Regularizer.output`` by outputs linear in their weights."""
        stages = (Stage.COVARIANCE, Stage.MEAN_COVARIANCE)
        if form.stage not in stages or not (form.is_free or form.is_linear) or form.regularizer.kind != "output":
            return ELSEWHERE
        return YES

    def apply(self, form: Form) -> Form:
        return form.at(Stage.COVARIANCE_PROGRAM)

    def conditions(self, form: Form, data: GameData) -> tuple[Condition, ...]:
        size = Condition(f"two semidefinite blocks of side {data.dim}", True)
        return (size,) if form.discriminator.norm_bound or form.discriminator.skip else (size, rank_condition(data))
