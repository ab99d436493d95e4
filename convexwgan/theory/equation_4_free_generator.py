"""Equation 4: quadratic discriminator, free generator: singular value thresholding."""

from __future__ import annotations

from convexwgan.arrays import Array, namespace
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.moment_reduction import MomentReduction
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Condition, no


class FreeThreshold(MomentReduction):
    """S = (M − β_d)₊ on the spectrum, G = L(Σ² − β_d)₊^½Vᵀ with LᵀL = I; value (β_g/2) Σ(σ_i² − β_d)₊.

    Infeasible iff n_f < k = #{σ_i² > β_d}: S has rank at most n_f, and then ‖M − S‖ ≥ σ²_{n_f+1} (Weyl, ours).
    """

    name = "singular values are thresholded"
    citation = "Sahiner et al. 2022, Theorem 2.1 and eq 4; feasibility MATH 3.2 (ours)"
    claim = "G* = L(Σ² − β_d I)₊^½ Vᵀ for any L with LᵀL = I"

    def accepts(self, form: Form) -> Acceptance:
        """Whether second moments are matched by free outputs under weight decay."""
        if form.stage is not Stage.COVARIANCE or not form.is_free or form.discriminator.norm_bound:
            return ELSEWHERE
        return YES if form.regularizer.kind == "output" else convex_in_S_only(form)

    def apply(self, form: Form) -> Form:
        return form.at(Stage.THRESHOLD)

    def conditions(self, form: Form, data: GameData) -> tuple[Condition, ...]:
        return (rank_condition(data),)


def rank_condition(data: GameData) -> Condition:
    """rank available ≥ k = #{σ_i² > β_d}, with the rank named for what limits it."""
    k = count_above(data.spectrum[0], data.beta + data.spectral_tolerance)
    name = "n_f" if data.is_free else ("rank(Z̃)" if data.wgan.players[1].kind == "polynomial" else "rank(Z)")
    return Condition(f"{name} = {data.rank} ≥ k = #{{σ_i² > β_d = {data.beta:.4g}}} = {k}", data.rank >= k)


def count_above(values: Array, level: float) -> int:
    """#{i : values_i > level}."""
    xp = namespace(values)
    return int(xp.sum(xp.astype(values > level, xp.int64)))


def convex_in_S_only(form: Form) -> Acceptance:
    """The refusal shared by every quadratic-discriminator theorem: dist_D is convex in S = GᵀG, not in G."""
    from convexwgan.spec.regularizer import Regularizer
    from convexwgan.spec.wgan import WGAN

    remedy = WGAN(form.discriminator, form.generator, Regularizer.output(1.0))
    return no(f"dist_D = ‖M − S‖₂ is convex in S = GᵀG, not in G or W, in which {form.regularizer!r} is convex", remedy)
