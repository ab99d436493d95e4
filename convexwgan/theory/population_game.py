"""ReLU discriminator against any distribution: a linear program over measures, with a saddle point (MATH 4)."""

from __future__ import annotations

from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Condition, Reduction, no


class PopulationGame(Reduction):
    """h_ν(u) = ∫(gᵀu)₊dν is linear in ν, so that the constraint |h_X − h_ν| ≤ β_d is linear in ν on every neuron.

    Without bias, homogeneity and Jensen put equal norms on all atoms: min (β_g/2)μ(S)²/N_f over measures μ on the
    sphere. With bias ν lives on ℝ^d. What it costs is a lower bound for every free generator of n_f samples.
    """

    name = "the population game is a linear program over measures"
    citation = "MATH 4 (ours); piecewise mean matching is Sahiner et al. 2022, Corollary 3.4"
    claim = "min (β_g/2)μ(S)²/N_f s.t. |h_X(u) − ∫(θᵀu)₊dμ| ≤ β_d, μ ≥ 0 on the sphere"
    cost = 50.0

    def accepts(self, form: Form) -> Acceptance:
        """Whether a distribution faces ReLU neurons and pays for its second moment."""
        if form.stage not in (Stage.DISTANCE, Stage.PENALTY) or form.generator.kind != "distribution":
            return ELSEWHERE
        if form.discriminator.kind != "relu":
            return ELSEWHERE
        if form.regularizer.kind != "output":
            return no(f"{form.regularizer!r} is no second moment, on which the program over measures rests")
        return YES

    def apply(self, form: Form) -> Form:
        return form.at(Stage.MEASURE_GAME)

    def conditions(self, form: Form, data: GameData) -> tuple[Condition, ...]:
        rank, limit = len(data.spectrum[0]), 2 if form.discriminator.bias else 3
        return (Condition(f"d_r = {rank}: both oracles exact up to rank {limit}, else searched", rank <= limit),)
