"""One feature, ReLU neurons with bias, outputs linear in the weights: branch and bound over cones of weights (ours)."""

from __future__ import annotations

from convexwgan.arrays import to_numpy64
from convexwgan.geometry.least_spread import least_spread
from convexwgan.spec.regularizer import Regularizer
from convexwgan.theory.candidate import Candidate
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.line_adversary import line_neurons
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Condition, Reduction, no

LARGEST_RANK = 6
"""Rank of the noise up to which cones are branched on."""


class OrderedCones(Reduction):
    """G = ZW: the order of the outputs depends on W, so that the half T_k(w) ≥ T_k(x) − β is reverse convex.

    T_k is convex and homogeneous in W, hence at most linear between the rays of a simplicial cone: a convex program
    bounds each cone, and is exact where no order changes. Splitting closes the bracket, or every cone is infeasible.
    """

    name = "sums of the largest outputs are linear on cones of weights"
    citation = "MATH 1.6 and 2.2 (ours), after Sahiner et al. 2022, Theorem 2.2"
    claim = "on the cone of r_1, …, r_p: T_k(ZΣα_jr_j) ≤ Σα_jT_k(Zr_j), with equality where the order is one"
    cost = 200.0

    def accepts(self, form: Form) -> Acceptance:
        """Whether the outputs are linear in weights that a square pays for, on sampled noise."""
        if form.stage not in (Stage.DISTANCE, Stage.PENALTY) or not form.line or form.lifted:
            return ELSEWHERE
        if form.generator.kind not in ("linear", "polynomial"):
            return ELSEWHERE
        if form.population:
            return no("the outputs are numbers on sampled noise; draw a sample with Latent.normal(dim).draw(n, rng)")
        if not form.regularizer.is_quadratic:
            return no("cones of weights are bounded under Regularizer.output and Regularizer.weights")
        return YES

    def apply(self, form: Form) -> Form:
        return form.at(Stage.LINE_CONES)

    def conditions(self, form: Form, data: GameData) -> tuple[Condition, ...]:
        closes = data.rank <= LARGEST_RANK
        return (Condition(f"rank of the noise {data.rank} ≤ {LARGEST_RANK}: cones close the bracket", closes),)

    def invert(self, form: Form, candidate: Candidate, data: GameData) -> Candidate:
        """With the discriminator of all outputs, which bounds these as well: no worse than the tree in high rank."""
        strength = form.regularizer.strength
        if form.regularizer.kind == "weights":
            strength /= float(data.latent_spectrum.values[0]) if data.rank else 1.0
        x = to_numpy64(data.X)[:, 0]
        beta = candidate.multipliers.get("beta") if form.discriminator.norm_bound else data.beta
        if beta is None:
            return candidate
        spread = least_spread(x, float(beta) / data.real_weight)
        return candidate.having(neurons=line_neurons(spread, x, data, Regularizer.output(strength)))
