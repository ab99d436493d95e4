"""Corollaries 3.1 and C.1: a linear discriminator matches means, dist_D = ‖m − s‖₂."""

from __future__ import annotations

from convexwgan.arrays import Array, namespace
from convexwgan.theory.candidate import Candidate, Neurons
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Reduction


class MeanMatching(Reduction):
    """max_{‖u‖≤1} |1ᵀXu − 1ᵀGu| = ‖m − s‖₂ by Cauchy–Schwarz; the multiplier y is one neuron, u = y/‖y‖, v = ‖y‖."""

    name = "a linear discriminator matches means"
    citation = "Sahiner et al. 2022, Corollary 3.1 (norm bound: C.1)"
    claim = "dist_D(X, G) = ‖m − s‖₂"

    def accepts(self, form: Form) -> Acceptance:
        """Whether the discriminator is linear and has been eliminated."""
        return (
            YES if form.stage in (Stage.DISTANCE, Stage.PENALTY) and form.discriminator.kind == "linear" else ELSEWHERE
        )

    def apply(self, form: Form) -> Form:
        return form.at(Stage.MEAN)

    def invert(self, form: Form, candidate: Candidate, data: GameData) -> Candidate:
        y = candidate.multipliers.get("y")
        return candidate if y is None else candidate.having(neurons=neuron_of(y))


def neuron_of(y: Array) -> Neurons:
    """The linear function xᵀy as at most one neuron."""
    xp = namespace(y)
    size = float(xp.linalg.vector_norm(y))
    if size == 0.0:
        return Neurons(u=xp.zeros((0, int(y.shape[0])), dtype=y.dtype), v=xp.zeros(0, dtype=y.dtype))
    return Neurons(u=(y / size)[None, :], v=xp.asarray([size], dtype=y.dtype))
