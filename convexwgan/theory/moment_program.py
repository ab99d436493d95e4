"""Polynomial discriminator as a semidefinite program in (S, s) (MATH 1.4)."""

from __future__ import annotations

from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.moment_reduction import MomentReduction
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Condition


class MomentProgram(MomentReduction):
    """min (β_g/2) tr S over (S, s) with S ⪰ ssᵀ/ρ and the two matrices of the S-lemma ⪰ 0.

    A pair (S, s) is attained iff rank(S − ssᵀ/ρ) ≤ rank − 1; rank ≥ d_r + 1 always suffices, otherwise the
    program may be only a lower bound, and the certificate says what was reached.
    """

    name = "first and second moments in a semidefinite program"
    citation = "MATH 1.4 (ours)"
    claim = "exact when S − ssᵀ/ρ has rank ≤ rank(Z) − 1, else a lower bound"
    cost = 100.0

    def accepts(self, form: Form) -> Acceptance:
        """Whether first and second moments are matched jointly by outputs linear in their weights."""
        ours = form.stage is Stage.MOMENTS and (form.is_free or form.is_linear)
        return YES if ours else ELSEWHERE

    def apply(self, form: Form) -> Form:
        return form.at(Stage.MOMENT_PROGRAM)

    def conditions(self, form: Form, data: GameData) -> tuple[Condition, ...]:
        enough = data.rank >= data.dim + 1
        offset = abs(form.discriminator.activation[2] * data.mass_gap)
        rank = Condition(
            f"rank = {data.rank} ≥ d_r + 1 = {data.dim + 1}{'' if enough else ': else a lower bound'}", enough
        )
        if form.discriminator.norm_bound:
            return (rank,)
        return (rank, Condition(f"|c(N_r − N_f)| = {offset:.4g} ≤ β_d = {data.beta:.4g}", offset <= data.beta))
