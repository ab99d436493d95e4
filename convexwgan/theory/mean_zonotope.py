"""Linear discriminator, weight-decayed ReLU generator: one neuron at the farthest zonotope vertex (MATH 3.7)."""

from __future__ import annotations

from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form, Stage
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Condition, Reduction, no


class MeanZonotope(Reduction):
    """min (β_g/2)(‖W₁‖² + ‖W₂‖²) = β_g Σ‖v_j‖ with s = Σ_j 1ᵀ(Zu_j)₊ v_j: every neuron earns most at the same u.

    φ* = max_{‖u‖≤1} 1ᵀ(Zu)₊ is the norm of the farthest vertex of the zonotope Σ[0, z_i]; value β_g(‖m‖ − β_d)₊/φ*.
    Norm bound: s = m when β_g < φ*, else s = 0. Exact for rank(Z) ≤ 4, bracketed above.
    """

    name = "one neuron at the farthest vertex of the zonotope"
    citation = "MATH 3.7 (ours); Sahiner et al. 2022, Appendix C.3.3 states the convex program"
    claim = "value β_g(‖m‖ − β_d)₊/φ*, φ* = max_{‖u‖≤1} 1ᵀ(Zu)₊"

    def accepts(self, form: Form) -> Acceptance:
        """Whether a ReLU network matches means and pays for its own weights, on sampled noise."""
        if form.generator.kind != "relu" or form.stage is not Stage.MEAN or form.regularizer.of != "weights":
            return ELSEWHERE
        if form.regularizer.kind != "weights":
            return no(
                f"{form.regularizer!r} is no function of Σ‖v_j‖, in which the weights of a ReLU network are convex"
            )
        if form.population:
            return no("the zonotope needs sampled noise; draw a sample with Latent.normal(dim).draw(n, rng)")
        return YES

    def apply(self, form: Form) -> Form:
        return form.at(Stage.MEAN_ZONOTOPE)

    def conditions(self, form: Form, data: GameData) -> tuple[Condition, ...]:
        vertex = data.farthest_vertex
        how = "exact" if vertex.is_exact else "a local maximum, so the bounds may not meet"
        return (Condition(f"φ* = {data.fake_weight * vertex.value:.6g} ({how})", vertex.value > 0),)
