"""ReLU discriminator against outputs that are linear in weights, G = ZW on sampled noise: convex–concave in W."""

from __future__ import annotations

from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Condition, Reduction, no


class LinearPiecewiseMeans(Reduction):
    """h_G(u) = Σ_i (z_iᵀWu)₊ = h_Z(Wu) is convex in W: h_G ≤ h_X + β_d is convex, h_G ≥ h_X − β_d reverse convex.

    G = ZW is a free output in a subspace, so that the population game bounds it from below, with (β_g/2)‖W‖² ≥
    (β_g/2)‖G‖²/σ_max(Z)² for a cost of weights; its second moment gives a semidefinite bound. Polynomial and ReLU
    generators come here on their features (Theorems 4.2 and 2.1). Noise of small rank may reach no feasible output.
    """

    name = "outputs linear in weights against ReLU neurons are a convex–concave program"
    citation = "Sahiner et al. 2022, Corollary 3.4; both bounds MATH 4 (ours)"
    claim = "min R_g(W) s.t. |h_X(u) − h_Z(Wu)| ≤ β_d, h_Z(w) = Σ_i (z_iᵀw)₊, ‖u‖ ≤ 1"
    cost = 200.0

    def accepts(self, form: Form) -> Acceptance:
        """Whether outputs are linear in weights that a square pays for, on sampled noise, against ReLU neurons."""
        if form.stage not in (Stage.DISTANCE, Stage.PENALTY) or form.discriminator.kind != "relu":
            return ELSEWHERE
        if not form.is_linear:
            return ELSEWHERE
        if form.population:
            return no("piecewise means are taken over sampled noise; draw a sample: Latent.normal(dim).draw(n, rng)")
        if form.line:  # one feature: cones of weights close the bracket
            return ELSEWHERE
        if not form.regularizer.is_quadratic:
            return no(f"{form.regularizer!r} is no second moment, on which the bounds rest")
        return YES

    def apply(self, form: Form) -> Form:
        return form.at(Stage.CONVEX_CONCAVE)

    def conditions(self, form: Form, data: GameData) -> tuple[Condition, ...]:
        rank, limit = len(data.spectrum[0]), 2 if form.discriminator.bias else 3
        text = f"outputs fill {data.rank} of n_f = {data.n_fake} dimensions, which may hold no feasible one"
        reach = Condition(f"every output is reachable, n_f = {data.n_fake}" if data.is_free else text, data.rank > 0)
        return (reach, Condition(f"d_r = {rank}: both bounds proven up to rank {limit}, else searched", rank <= limit))
