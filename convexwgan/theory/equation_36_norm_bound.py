"""Equation 36: quadratic discriminator under a norm bound: 1/β_g chooses how many components stay (MATH 3.6)."""

from __future__ import annotations

from convexwgan.theory.data import GameData
from convexwgan.theory.equation_4_free_generator import convex_in_S_only
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.moment_reduction import MomentReduction
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Condition


class NormBoundThreshold(MomentReduction):
    """min (β_g/2) tr S + ‖M − S‖₂: S = (M − t)₊, t = σ²_{j+1}, j = min(⌊2/β_g⌋, rank available); t = 0 past rank(X)."""

    name = "the next eigenvalue is the threshold"
    citation = "Sahiner et al. 2022, eq 36; solution MATH 3.6 (ours)"
    claim = "S = (M − σ²_{j+1})₊ with j = min(⌊2/β_g⌋, rank)"

    def accepts(self, form: Form) -> Acceptance:
        """Whether second moments are matched under a norm bound and paid for by the output."""
        ours = form.stage is Stage.COVARIANCE and form.discriminator.norm_bound and (form.is_free or form.is_linear)
        if not ours or (form.regularizer.kind == "weights" and form.is_linear):
            return ELSEWHERE
        return YES if form.regularizer.kind == "output" else convex_in_S_only(form)

    def apply(self, form: Form) -> Form:
        return form.at(Stage.THRESHOLD)

    def conditions(self, form: Form, data: GameData) -> tuple[Condition, ...]:
        wanted = int(min(2.0 / form.regularizer.strength, 1e15))
        return (Condition(f"⌊2/β_g⌋ = {wanted}, rank available {data.rank}: j = {min(wanted, data.rank)}", True),)
