"""ReLU discriminator against a free generator of n_f samples: convex on one side, concave on the other."""

from __future__ import annotations

from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Condition, Reduction, no


class FreePiecewiseMeans(Reduction):
    """dist ≤ β_d ⇔ h_G ≤ h_X + β_d, convex in G, and h_G ≥ h_X − β_d, reverse convex, on every neuron.

    The convex–concave procedure bounds the value from above; the population game, whose measures contain every G as
    Σδ_{g_i}, from below. The two differ by what n_f samples cost more than a distribution, at most K/n_f for K atoms.
    """

    name = "a free generator against ReLU neurons is a convex–concave program"
    citation = "Sahiner et al. 2022, Corollary 3.4; both bounds MATH 4 (ours)"
    claim = "min (β_g/2)‖G‖_F² s.t. |h_X(u) − h_G(u)| ≤ β_d, h_G(u) = Σ_i (g_iᵀu)₊, ‖u‖ ≤ 1"
    cost = 200.0

    def accepts(self, form: Form) -> Acceptance:
        """Whether outputs are free, paid for by their second moment, against ReLU neurons not on the line."""
        if form.stage not in (Stage.DISTANCE, Stage.PENALTY) or form.generator.kind != "free":
            return ELSEWHERE
        if form.discriminator.kind != "relu":
            return ELSEWHERE
        if form.discriminator.bias and form.line:  # one feature: Theorem 2.2
            return ELSEWHERE
        if form.regularizer.kind != "output":
            return no(f"{form.regularizer!r} is no second moment, on which the bound by measures rests")
        return YES

    def apply(self, form: Form) -> Form:
        return form.at(Stage.CONVEX_CONCAVE)

    def conditions(self, form: Form, data: GameData) -> tuple[Condition, ...]:
        rank, limit = len(data.spectrum[0]), 2 if form.discriminator.bias else 3
        hint = 'method="global" narrows the bracket' if rank <= 2 else 'method="global" asks for rank 2'
        text = f"d_r = {rank}: both bounds proven up to rank {limit}, else searched"
        if not (form.discriminator.bias or form.discriminator.norm_bound):
            text = f"{text}; {hint}"
        return (Condition(text, rank <= limit),)
