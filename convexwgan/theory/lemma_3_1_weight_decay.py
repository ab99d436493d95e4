"""Lemma 3.1: weight decay on the discriminator turns the inner maximisation into a constraint."""

from __future__ import annotations

from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Reduction


class WeightDecay(Reduction):
    """max_D 1ᵀD(X) − 1ᵀD(G) − β_d Σ|v_j| is 0 if dist_D(X, G) ≤ β_d, else ∞.

    Each neuron pays β_d and earns at most dist_D(X, G): D is worth building iff dist_D > β_d, and then without end.
    """

    name = "weight decay becomes a constraint"
    citation = "Sahiner et al. 2022, Lemma 3.1"
    claim = "the inner maximum is 0 when dist_D(X, G) ≤ β_d and infinite otherwise"

    def accepts(self, form: Form) -> Acceptance:
        """Whether the game is the user's own and its discriminator under weight decay."""
        return YES if form.stage is Stage.GAME and not form.discriminator.norm_bound else ELSEWHERE

    def apply(self, form: Form) -> Form:
        return form.at(Stage.DISTANCE)
