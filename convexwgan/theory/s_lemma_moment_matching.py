"""S-lemma: a polynomial discriminator matches first and second moments jointly (MATH 1.4, ours)."""

from __future__ import annotations

import numpy as np

from convexwgan.arrays import like, to_numpy64
from convexwgan.geometry.polynomials import rank_one_decomposition
from convexwgan.theory.candidate import Candidate, Neurons
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Reduction, no


class MomentMatching(Reduction):
    """dist_D = max_{‖u‖≤1} |a uᵀ(M−S)u + b(m−s)ᵀu + c(N_r−N_f)| ≤ β iff two matrices are ⪰ 0, jointly convex in (S, s).

    Its multipliers are moment matrices Y± of measures on the unit ball: their rank-one pieces are the neurons.
    """

    name = "a polynomial discriminator matches moments jointly"
    citation = "MATH 1.4 (ours, by the S-lemma)"
    claim = "dist_D(X, G) ≤ β is two linear matrix inequalities in (S, s, λ±)"

    def accepts(self, form: Form) -> Acceptance:
        """Whether the discriminator is polynomial and the cost a function of the moments."""
        if form.stage not in (Stage.DISTANCE, Stage.PENALTY) or form.discriminator.kind != "polynomial":
            return ELSEWHERE
        if form.regularizer.kind != "output":
            return no(
                f"{form.regularizer!r} is not a function of the output moments (S, s), in which this dist_D is convex"
            )
        return YES

    def apply(self, form: Form) -> Form:
        return form.at(Stage.MOMENTS)

    def invert(self, form: Form, candidate: Candidate, data: GameData) -> Candidate:
        if "Y_plus" not in candidate.multipliers:
            return candidate
        pieces = [(1.0, candidate.multipliers["Y_plus"]), (-1.0, candidate.multipliers["Y_minus"])]
        decomposed = [(sign, *rank_one_decomposition(to_numpy64(Y))) for sign, Y in pieces]
        u = np.concatenate([u for _, u, _ in decomposed])
        v = np.concatenate([sign * v for sign, _, v in decomposed])
        reference = data.moments.first
        return candidate.having(neurons=Neurons(like(reference, u), like(reference, v)))
