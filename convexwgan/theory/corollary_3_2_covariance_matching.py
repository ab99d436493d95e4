"""Corollaries 3.2 and C.2: a quadratic discriminator matches second moments, dist_D = ‖M − S‖₂."""

from __future__ import annotations

from convexwgan.arrays import namespace
from convexwgan.geometry.spectra import eigh_descending
from convexwgan.theory.candidate import Candidate, Neurons
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Reduction


class CovarianceMatching(Reduction):
    """max_{‖u‖≤1} |uᵀ(M − S)u| = ‖M − S‖₂; the multiplier R = Σ_j v_j u_ju_jᵀ is the discriminator xᵀRx."""

    name = "a quadratic discriminator matches second moments"
    citation = "Sahiner et al. 2022, Corollary 3.2 (norm bound: C.2)"
    claim = "dist_D(X, G) = ‖M − S‖₂"

    def accepts(self, form: Form) -> Acceptance:
        """Whether the discriminator is quadratic without skip and has been eliminated."""
        quadratic = form.discriminator.kind == "quadratic" and not form.discriminator.skip
        return YES if form.stage in (Stage.DISTANCE, Stage.PENALTY) and quadratic else ELSEWHERE

    def apply(self, form: Form) -> Form:
        return form.at(Stage.COVARIANCE)

    def invert(self, form: Form, candidate: Candidate, data: GameData) -> Candidate:
        return candidate.having(neurons=quadratic_neurons(candidate))


def quadratic_neurons(candidate: Candidate) -> Neurons | None:
    """Neurons of xᵀRx: given in factored form ("u", "v"), or the eigenpairs of a dense multiplier "R"."""
    multipliers = candidate.multipliers
    if "u" in multipliers:
        return Neurons(u=multipliers["u"], v=multipliers["v"])
    if "R" not in multipliers:
        return None
    values, vectors = eigh_descending(multipliers["R"])
    xp = namespace(values)
    kept = xp.nonzero(xp.abs(values) > 1e-9 * xp.max(xp.abs(values)))[0]
    return Neurons(u=xp.matrix_transpose(xp.take(vectors, kept, axis=1)), v=xp.take(values, kept))
