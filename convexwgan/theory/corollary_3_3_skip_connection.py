"""Corollary 3.3: a linear skip connection adds exact mean matching to a quadratic discriminator."""

from __future__ import annotations

from convexwgan.theory.candidate import Candidate, Neurons
from convexwgan.theory.corollary_3_2_covariance_matching import quadratic_neurons
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Reduction


class MeanAndCovarianceMatching(Reduction):
    """The skip yᵀ(m − s) is unregularised, so its maximum is 0 iff s = m; the rest is Corollary 3.2."""

    name = "a skip connection matches means exactly"
    citation = "Sahiner et al. 2022, Corollary 3.3"
    claim = "dist_D(X, G) = ‖M − S‖₂ and s = m"

    def accepts(self, form: Form) -> Acceptance:
        """Whether the discriminator is quadratic with a skip and has been eliminated."""
        return YES if form.stage in (Stage.DISTANCE, Stage.PENALTY) and form.discriminator.skip else ELSEWHERE

    def apply(self, form: Form) -> Form:
        return form.at(Stage.MEAN_COVARIANCE)

    def invert(self, form: Form, candidate: Candidate, data: GameData) -> Candidate:
        neurons = quadratic_neurons(candidate)
        if neurons is None:
            return candidate
        return candidate.having(neurons=Neurons(neurons.u, neurons.v, skip=self._skip(neurons, data)))

    @staticmethod
    def _skip(neurons: Neurons, data: GameData) -> object:
        """y = (2/ρ) N m with N = (β_g/2)I − R, the best skip for given neurons (MATH 3.5, dual side)."""
        m = data.moments.first
        if data.mean_is_zero:
            return 0.0 * m
        Rm = (neurons.v * (neurons.u @ m)) @ neurons.u
        return 2.0 / data.rho * (data.wgan.regularizer.strength / 2.0 * m - Rm)
