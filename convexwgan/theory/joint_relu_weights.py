"""Quadratic discriminator, weight-decayed ReLU generator: output and weights are one problem, bracketed (MATH 3.8)."""

from __future__ import annotations

from convexwgan.theory.data import GameData
from convexwgan.theory.equation_4_free_generator import rank_condition
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Condition, Reduction, no


class JointReluWeights(Reduction):
    """β_g Σ((σ_i² − t)₊/w)^½ / max_{‖u‖≤1}‖(Nu)₊‖₂  ≤  the weights of every network with ‖M − S‖₂ ≤ t.

    By Weyl its output has singular values of at least these, and R = the polar factor of the output is dual feasible
    (Lemma C.1). Upper bound: the cheapest network found among those with S = (M − t)₊, a search that is not convex.
    Weight decay: t = β_d. Norm bound: the t of the smallest lower bound.
    """

    name = "the thresholded moments with the least weights found"
    citation = "MATH 3.8 (ours, by Weyl and Lemma C.1)"
    claim = "at least β_g Σ(σ_i² − β_d)₊^½ / max_{‖u‖≤1}‖(Zu)₊‖, at most the weights of the network found"
    exactness = "upper"

    def accepts(self, form: Form) -> Acceptance:
        """Whether a ReLU network matches second moments and pays for its own weights, on sampled noise."""
        if form.generator.kind != "relu" or form.stage is not Stage.COVARIANCE or form.regularizer.of != "weights":
            return ELSEWHERE
        if form.regularizer.kind != "weights":
            return no(f"{form.regularizer!r} is no function of Σ‖v_j‖, for which the weights of a network are bounded")
        if form.population:
            return no("the weights of a ReLU network are bounded on sampled noise; draw a sample")
        return YES

    def apply(self, form: Form) -> Form:
        return form.at(Stage.JOINT_WEIGHTS)

    def conditions(self, form: Form, data: GameData) -> tuple[Condition, ...]:
        search = Condition("not convex: a bracket, not a certificate", True)
        return (search,) if form.discriminator.norm_bound else (rank_condition(data), search)
