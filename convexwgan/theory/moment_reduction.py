"""Theorems whose reduced problem is in the output's moments: their common inverse realises a generator."""

from __future__ import annotations

from convexwgan.theory.candidate import Candidate
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form
from convexwgan.theory.realization import mean_weights, realize
from convexwgan.theory.reduction import Reduction
from convexwgan.theory.relu_factor import factor_text, unreachable_output


class MomentReduction(Reduction):
    """An edge into moments (S, s): back come weights whose output has them (eq 15 and MATH 3.5)."""

    def invert(self, form: Form, candidate: Candidate, data: GameData) -> Candidate:
        """The generator with the candidate's moments; a candidate without moments passes through."""
        if candidate.moments is None:
            return candidate
        weights = realize(candidate.moments, data)
        if form.generator.kind != "relu":
            return candidate.having(weights=weights)
        mean = None if candidate.moments.mean is None else mean_weights(candidate.moments.mean, data)
        target = unreachable_output(candidate.moments, mean, data)
        stats = {**candidate.stats, "factor": factor_text(candidate.moments, data)}
        return candidate.having(weights=weights, unreachable=target, stats=stats)
