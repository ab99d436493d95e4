"""Theorems whose reduced problem is in the output's moments: their common inverse realises a generator."""

from __future__ import annotations

from convexwgan.theory.candidate import Candidate
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form
from convexwgan.theory.realization import realize
from convexwgan.theory.reduction import Reduction


class MomentReduction(Reduction):
    """An edge into moments (S, s): back come weights whose output has them (eq 15 and MATH 3.5)."""

    def invert(self, form: Form, candidate: Candidate, data: GameData) -> Candidate:
        """The generator with the candidate's moments; a candidate without moments passes through."""
        return candidate if candidate.moments is None else candidate.having(weights=realize(candidate.moments, data))
