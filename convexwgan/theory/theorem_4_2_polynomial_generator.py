"""Theorem 4.2: a two-layer polynomial generator is a linear generator on lifted noise."""

from __future__ import annotations

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.polynomials import lifted_dimension, recover_neurons
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import CLOSED_FORMS, CONIC_FORMS, Form, Stage
from convexwgan.theory.reduction import ELSEWHERE, YES, Acceptance, Condition, Reduction

_MATCHING = (Stage.MEAN, Stage.COVARIANCE, Stage.MEAN_COVARIANCE, Stage.MOMENTS)


class PolynomialGenerator(Reduction):
    """σ(ZW₁)W₂ = Z̃W̃ with z̃ = [a·svec(zzᵀ); b·z; c] and W̃ = Σ_j [svec(w_jw_jᵀ); w_j; 1] v_jᵀ; every W̃ is reached."""

    name = "a polynomial generator is linear in lifted noise"
    citation = "Sahiner et al. 2022, Theorem 4.2; recovery of the neurons MATH 2.3 (ours)"
    claim = "G = σ(ZW₁)W₂ reaches exactly the outputs Z̃W̃"

    def accepts(self, form: Form) -> Acceptance:
        """Whether the generator is polynomial and its noise not yet lifted."""
        is_met = form.stage in _MATCHING or form.is_piecewise
        ours = form.generator.kind == "polynomial" and not form.lifted and is_met
        return YES if ours else ELSEWHERE

    def apply(self, form: Form) -> Form:
        assert form.stage not in CLOSED_FORMS | CONIC_FORMS
        return Form(form.stage, form.wgan, form.normalize, form.population, lifted=True)

    def conditions(self, form: Form, data: GameData) -> tuple[Condition, ...]:
        p = data.latent_mean.shape[0]
        return (Condition(f"the noise is lifted to {p} features; rank(Z̃) = {data.rank}", data.rank > 0),)


def hidden_weights(lifted: Float64) -> tuple[Float64, Float64]:
    """(W₁, W₂) with σ(ZW₁)W₂ = Z̃W̃ for all Z: the inverse of the theorem, run when the neurons are asked for.

    Args:
        lifted: W̃, shape (d(d+1)/2 + d + 1, d_r).

    Returns:
        W₁ (d, m_g) and W₂ (m_g, d_r).
    """
    dim = next(d for d in range(1, lifted.shape[0] + 1) if lifted_dimension(d) == lifted.shape[0])
    return recover_neurons(np.asarray(lifted, dtype=np.float64), dim)
