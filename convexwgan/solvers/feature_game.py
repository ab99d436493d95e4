"""One game of sampled outputs in scaled units, and the way back to the user's weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convexwgan.arrays import Float64, to_numpy64
from convexwgan.solvers.linearised_neurons import Gaps, NeuronTarget
from convexwgan.solvers.population.solve import range_of
from convexwgan.theory.data import GameData

_NARROW, _WIDE = 1e-6, 2e-8
"""How much of β_d is left unused, so that the stored output is feasible after rounding."""
_RANK = 1e-10


@dataclass(frozen=True, eq=False)
class FeatureGame:
    """The target for outputs G' = FY of data X' = X·basis/length, and the way back.

    Attributes:
        target: the scaled game. basis: (d, r), the range of the data. length: the mean norm of the data.
        value_unit: R_g = value_unit·‖Y‖². dist_unit: dist in the user's units is dist_unit times the target's.
        back, forth: W = back·Y and Y = forth·W for weights on features; None where the output is the weights.
    """

    target: NeuronTarget
    basis: Float64
    length: float
    value_unit: float
    dist_unit: float
    back: Float64 | None = None
    forth: Float64 | None = None

    def weights(self, Y: Float64) -> Float64:
        """The weights on the features, or G where there are none."""
        return self.length * (Y if self.back is None else self.back @ Y) @ self.basis.T

    def coordinates(self, W: Float64) -> Float64:
        """Y of given weights."""
        rows = W @ self.basis / self.length
        return rows if self.forth is None else self.forth @ rows

    def value(self, Y: Float64, gaps: Gaps) -> float:
        """R_g, under a norm bound with dist."""
        if self.target.beta is None:
            return self.dist_unit * self.target.cost(Y, gaps)
        return self.value_unit * float(np.sum(Y * Y))


def feature_game(data: GameData) -> FeatureGame:
    """The game in units where the data have mass 1 and mean norm 1.

    R_g = ``output``: (β_g/2)w_f‖G‖² with Y = QᵀG/length on an orthonormal basis Q of the features' range;
    ``weights``: (β_g/2)‖W‖² with Y = σW/length, σ the largest singular value of the features.
    """
    X = to_numpy64(data.X)
    basis = range_of(X)
    rows = X @ basis
    length = float(np.linalg.norm(rows, axis=1).mean()) or 1.0
    mass, strength = data.real_weight * len(X), data.wgan.regularizer.strength
    dist_unit, bias = mass * length, data.wgan.players[0].bias
    F, back, forth, price = _features(data)
    value_unit = 0.5 * strength * length**2 * price
    beta = None if data.wgan.players[0].norm_bound else float(data.beta) / dist_unit
    beta, slack = _with_margin(beta, "float32" in str(data.X.dtype), basis.shape[1])
    weights = 1.0 / len(X), data.fake_weight / mass
    kappa = 2.0 * value_unit / dist_unit
    target = NeuronTarget(rows / length, weights[0], F, data.n_fake, weights[1], beta, slack, bias, kappa)
    return FeatureGame(target, basis, length, value_unit, dist_unit, back, forth)


def _with_margin(beta: float | None, is_narrow: bool, dim: int) -> tuple[float | None, float]:
    """β less what the proof of dist and the rounding of the stored output may add, and the slack that leaves."""
    if beta is None:
        return None, 1e-9
    margin = min((_NARROW if is_narrow else _WIDE) * beta + (1e-9 if dim < 3 else 1e-6), 0.5 * beta)
    return beta - margin, 0.5 * margin


def _features(data: GameData) -> tuple[Float64 | None, Float64 | None, Float64 | None, float]:
    """(F, back, forth, price): R_g = (β_g/2)·price·‖Y‖²·length² for outputs FY·length."""
    if data.is_free:
        return None, None, None, data.fake_weight
    assert data.features is not None
    Z = to_numpy64(data.features)
    Q, s, Vt = np.linalg.svd(Z, full_matrices=False)
    if s[0] == 0.0:
        return Z, np.eye(Z.shape[1]), np.eye(Z.shape[1]), 1.0
    if data.wgan.regularizer.of == "weights":
        eye = np.eye(Z.shape[1])
        return Z / s[0], eye / s[0], s[0] * eye, 1.0 / s[0] ** 2
    rank = int((s > _RANK * s[0]).sum())
    Q, s, Vt = Q[:, :rank], s[:rank], Vt[:rank]
    return Q, Vt.T / s, s[:, None] * Vt, data.fake_weight
