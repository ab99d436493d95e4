"""ReLU discriminator, linear generator, Gaussian noise: a semi-infinite semidefinite program in S = WᵀW (MATH 4)."""

from __future__ import annotations

from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Condition, Reduction, no


class GaussianNoise(Reduction):
    """E(zᵀWu)₊ = c‖Wu‖ for z ~ N(0, I), c = 1/√(2π): the generator's zonotope is an ellipsoid.

    Squared, |h_X(u) − c‖Wu‖| ≤ β_d says (h_X(u) − β_d)₊² ≤ c²uᵀSu ≤ (h_X(u) + β_d)² on ‖u‖ = 1, linear in S = WᵀW,
    and E‖Wᵀz‖² = ‖W‖_F² = tr S. Every S ⪰ 0 on the range of the data is a WᵀW where the noise has as many dimensions.
    """

    name = "Gaussian noise makes piecewise mean matching a semidefinite program"
    citation = "MATH 4 (ours); piecewise mean matching is Sahiner et al. 2022, Corollary 3.4"
    claim = "min (β_g/2) tr S s.t. (h_X(u) − β_d)₊² ≤ uᵀSu/(2π) ≤ (h_X(u) + β_d)² for ‖u‖ = 1, S = WᵀW ⪰ 0"
    cost = 100.0

    def accepts(self, form: Form) -> Acceptance:
        """Whether a linear generator on population noise meets ReLU neurons without bias under weight decay."""
        if form.stage not in (Stage.DISTANCE, Stage.PENALTY) or form.generator.kind != "linear":
            return ELSEWHERE
        if form.discriminator.kind != "relu" or not form.population:
            return ELSEWHERE
        if form.discriminator.bias:
            return no("with a bias E(zᵀWu + b)₊ is no function that is linear in WᵀW once squared")
        if form.discriminator.norm_bound:
            return no("under a norm bound dist would enter the right side squared, which is not convex: use beta=")
        if form.regularizer.kind not in ("output", "weights"):
            return no(f"{form.regularizer!r} is no second moment, in which the program is linear")
        return YES

    def apply(self, form: Form) -> Form:
        return form.at(Stage.GAUSSIAN_PROGRAM)

    def conditions(self, form: Form, data: GameData) -> tuple[Condition, ...]:
        rank, latent = data.data_rank, data.feature_count
        norm = f"‖m‖ = {data.mean_norm:.6g} ≤ 2β_d = {2.0 * data.beta:.6g}, necessary since c‖Wu‖ is even in u"
        return (
            Condition(f"latent dimension {latent} ≥ rank {rank} of the data, else a lower bound only", latent >= rank),
            Condition(norm, data.mean_norm <= 2.0 * data.beta),
            Condition(f"rank {rank}: all neurons proven up to rank 4, else searched", rank <= 4),
        )
