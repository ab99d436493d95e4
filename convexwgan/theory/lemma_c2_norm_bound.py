"""Lemma C.2: a norm bound on the discriminator turns the inner maximisation into a penalty."""

from __future__ import annotations

from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Reduction


class NormBound(Reduction):
    """max over Σ|v_j| ≤ 1, ‖u_j‖ ≤ 1 of 1ᵀD(X) − 1ᵀD(G) is dist_D(X, G): a linear function peaks at one neuron."""

    name = "norm bound becomes a penalty"
    citation = "Sahiner et al. 2022, Lemma C.2"
    claim = "the inner maximum is dist_D(X, G), attained by one neuron"

    def accepts(self, form: Form) -> Acceptance:
        """Whether the game is the user's own and its discriminator under a norm bound."""
        return YES if form.stage is Stage.GAME and form.discriminator.norm_bound else ELSEWHERE

    def apply(self, form: Form) -> Form:
        return form.at(Stage.PENALTY)
