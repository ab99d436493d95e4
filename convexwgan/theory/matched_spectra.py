"""Quadratic discriminator, weight-decayed linear generator: the largest component meets the largest λ (MATH 3.3)."""

from __future__ import annotations

from convexwgan.theory.data import GameData
from convexwgan.theory.equation_4_free_generator import rank_condition
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.moment_reduction import MomentReduction
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Condition


class MatchedSpectra(MomentReduction):
    """The W of eq 15, largest with largest, is optimal for (β_g/2)‖W‖_F²; value (β_g/2) Σ(σ_i² − β_d)₊/λ_i.

    Lower bound: ‖W‖² ≥ Σλ_i(S)/λ_i(A) (von Neumann) and λ_i(S) ≥ (σ_i² − β_d)₊ (Weyl). Unless the λ_i are equal
    there is a duality gap: no discriminator is optimal, none is claimed. Norm bound: MATH 3.6 with
    j = max{j ≤ r : Σ_{i≤j} 1/λ_i ≤ 2/β_g} and t = σ²_{j+1}.
    """

    name = "spectra are matched, largest with largest"
    citation = "MATH 3.3 and 3.6 (ours, by Weyl and von Neumann)"
    claim = "the W of eq 15 also has the least weights; value (β_g/2) Σ(σ_i² − β_d)₊/λ_i"

    def accepts(self, form: Form) -> Acceptance:
        """Whether second moments are matched by a linear generator that pays for its weights."""
        ours = form.stage is Stage.COVARIANCE and form.is_linear and form.regularizer.kind == "weights"
        return YES if ours else ELSEWHERE

    def apply(self, form: Form) -> Form:
        return form.at(Stage.MATCHED_SPECTRA)

    def conditions(self, form: Form, data: GameData) -> tuple[Condition, ...]:
        values = data.latent_spectrum.values
        spread = f"λ from {float(values[0]):.4g} to {float(values[-1]):.4g}" if data.rank else "no λ > 0"
        rank = () if form.discriminator.norm_bound else (rank_condition(data),)
        return (*rank, Condition(f"spectrum of the noise: {spread}", data.rank > 0))
