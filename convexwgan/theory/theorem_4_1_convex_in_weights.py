"""Theorem 4.1, linear discriminator: the game is convex in W for every convex regulariser."""

from __future__ import annotations

from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Condition, Reduction, no


class ConvexInWeights(Reduction):
    """s = Wᵀz̄ is linear in W, so ‖m − s‖₂ ≤ β_d is a second-order cone: min R_g(W) over it is a cone program."""

    name = "mean matching is convex in W"
    citation = "Sahiner et al. 2022, Theorem 4.1 and eq 13"
    claim = "for every convex R_g the problem is a convex program in W"
    cost = 100.0

    def accepts(self, form: Form) -> Acceptance:
        """Whether means are matched by outputs linear in their weights, under any convex cost that has samples."""
        if form.stage is not Stage.MEAN or not (form.is_free or form.is_linear):
            return ELSEWHERE
        if form.population and form.regularizer.of == "output" and not form.regularizer.is_quadratic:
            return no(
                f"{form.regularizer!r} acts on the output samples, and population noise has none; "
                "sample it with Latent.normal(dim).draw(n, rng)"
            )
        return YES

    def apply(self, form: Form) -> Form:
        return form.at(Stage.CONE_PROGRAM)

    def conditions(self, form: Form, data: GameData) -> tuple[Condition, ...]:
        return (
            Condition(f"variables: {data.n_fake if data.is_free else data.latent_mean.shape[0]} × {data.dim}", True),
        )
