"""The judge of outputs on sampled noise under ReLU neurons: linear, polynomial and ReLU generators (MATH 4).

An output G is a measure of n_f equal masses, so that what a discriminator proves against every distribution holds for
it; where the weights are paid for, (β_g/2)‖W‖² ≥ (β_g/2)w_f‖G‖²/λ_max(A) with A = w_fZᵀZ. ``zonotope_moments`` proves
more where the noise has few dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np

from convexwgan.arrays import Array, Float64, as_samples, to_numpy64
from convexwgan.certificates.adversary import read_adversary, read_array
from convexwgan.certificates.audit import Audit
from convexwgan.certificates.certificate import Certificate, Check, Infeasibility
from convexwgan.certificates.claim import Claim
from convexwgan.certificates.claimed_weights import read_weights
from convexwgan.certificates.measures import (
    EPS,
    AttainedMeasure,
    DualBound,
    MeasureEvidence,
    attain_measure,
    bound_checks,
    gather_measure,
    measure_bound,
    scope_of,
)
from convexwgan.certificates.moments import latents_of
from convexwgan.certificates.sampled_infeasibility import sampled_infeasibility
from convexwgan.certificates.zonotope_moments import (
    Ellipsoid,
    moment_bound,
    second_eigenvalue_cost,
    shape_of_noise,
)
from convexwgan.spec.latent import DrawnNoise


@dataclass(frozen=True, eq=False)
class SampledEvidence(MeasureEvidence):
    """The game of n_f outputs on sampled noise. ``latents``: the generator's side; ``samples``: n_f."""

    @property
    def strength(self) -> float:
        """β of the second moment: R_g ≥ (β/2)w_f‖G‖²; β_g/λ_max(A) where the weights are paid for."""
        own = float(self.wgan.regularizer.strength)
        if self.wgan.regularizer.kind == "output":
            return own
        top = float(np.linalg.eigvalsh(self.latents.second)[-1]) * (1.0 + 64.0 * self.latents.width * EPS)
        return own / top if top > 0.0 else own

    def cost(self, W: Float64, G: Float64) -> float:
        """R_g: (β_g/2)w_f‖G‖², or (β_g/2)‖W‖²."""
        own = float(self.wgan.regularizer.strength)
        if self.wgan.regularizer.kind == "weights":
            return 0.5 * own * float(np.vdot(W, W))
        return 0.5 * own * float(self.latents.weight) * float(np.vdot(G, G))

    @cached_property
    def ellipsoids(self) -> tuple[tuple[Ellipsoid, float, float], ...]:
        """(shape, κ, extra): R_g ≥ κ tr S + extra for S = w_fGᵀG and, where weights are paid for, S = WᵀW as well."""
        own = 0.5 * float(self.wgan.regularizer.strength)
        if self.wgan.regularizer.kind == "output":
            return ((shape_of_noise(self.latents), own, 0.0),)
        matched = shape_of_noise(self.latents), 0.5 * self.strength, own * second_eigenvalue_cost(self)
        return (shape_of_noise(self.latents, True), own, 0.0), matched


def gather_sampled(wgan: Any, X: Array, Z: Any, normalize: Literal["sum", "mean"]) -> SampledEvidence:
    """The evidence of a game on sampled noise with a ReLU discriminator.

    Raises:
        InputError: no noise; a bias with sums over different counts, where dist is infinite.
    """
    generator, sees_weights = wgan.players[1], wgan.regularizer.of == "weights"
    latents = latents_of(generator, Z, None, 0, normalize, not sees_weights)
    rows = as_samples(Z.array if isinstance(Z, DrawnNoise) else Z, "Z")
    n = int(rows.shape[0])
    real = gather_measure(wgan, X, n, normalize)
    return SampledEvidence(wgan, to_numpy64(as_samples(X, "X")), real.real, real.mass, normalize, real.beta, latents, n)


def certify_sampled(
    evidence: SampledEvidence, claim: Claim, *, tol: float, repair: bool, scales: tuple[float, float]
) -> Audit:
    """The certificate that weights (or a network), a discriminator and moment multipliers earn; see ``certify``."""
    proof = _proof(evidence, claim, scales)
    W, _, weight_checks = read_weights(evidence, claim)
    checks = (*proof.checks, *weight_checks)
    attained = None if W is None else _attain(evidence, W)
    if attained is None or attained.violation > tol:
        infeasibility, found = sampled_infeasibility(evidence)
        if infeasibility is not None:
            return _infeasible(evidence, infeasibility, found, tol)
    if W is None or attained is None:
        scope = scope_of(proof.is_proven)
        found_none = Certificate(
            proof.lower, np.inf, np.inf, scope, checks, tol=tol, scale=evidence.scale, has_candidate=False
        )
        return replace(proof.audit, certificate=found_none)
    weights = claim.weights
    if repair and claim.hidden is None:
        nothing = _attain(evidence, np.zeros_like(W), np.inf if evidence.beta is None else evidence.beta)
        if nothing.violation == 0.0 and nothing.value <= attained.value:
            attained, weights = nothing, np.zeros_like(np.asarray(claim.weights))
    certificate = Certificate(
        proof.lower,
        attained.value,
        attained.violation,
        scope_of(attained.is_proven and proof.is_proven),
        (*checks, *bound_checks(attained, proof.dual)),
        tol=tol,
        scale=evidence.scale,
    )
    return replace(proof.audit, certificate=certificate, weights=weights, repaired=weights is not claim.weights)


class _Proof(NamedTuple):
    """The better lower bound, the arrays that prove it, and the discriminator's own."""

    lower: float
    audit: Audit
    checks: tuple[Check, ...]
    dual: DualBound
    is_proven: bool


def _proof(evidence: SampledEvidence, claim: Claim, scales: tuple[float, float]) -> _Proof:
    """The discriminator's bound or, where they prove more, the multipliers': no discriminator is claimed then."""
    adversary, dual_checks = read_adversary(evidence, claim)
    empty = np.zeros((0, evidence.dim + evidence.has_bias))
    u, v = (empty, np.zeros(0)) if adversary is None else (adversary.u, adversary.v)
    dual = measure_bound(evidence, u, v, scales)
    table, table_checks = _read_table(evidence, claim)
    checks, blank = (*dual_checks, *table_checks), Certificate(0.0, np.inf, np.inf, "sampled", ())
    moments = None if table is None else moment_bound(evidence, table)
    if moments is not None and moments.value > dual.value:
        audit = Audit(blank, None, output_multiplier=moments.table)
        return _Proof(moments.value, audit, (*checks, moments.check), dual, True)
    return _Proof(dual.value, Audit(blank, None, dual.u, dual.v), checks, dual, dual.is_proven)


def _infeasible(
    evidence: SampledEvidence, infeasibility: Infeasibility, checks: tuple[Check, ...], tol: float
) -> Audit:
    proven = Check("infeasibility proven from the data", True, infeasibility.text)
    found = Certificate(
        np.inf, np.inf, np.inf, "exhaustive", (proven, *checks), infeasibility=infeasibility, tol=tol,
        scale=evidence.scale, has_candidate=False,
    )  # fmt: skip
    return Audit(found, None)


def _attain(evidence: SampledEvidence, W: Float64, hopeless: float = np.inf) -> AttainedMeasure:
    """Value and violation of weights W by the output that they produce."""
    with np.errstate(over="ignore", invalid="ignore"):
        G = evidence.latents.output(W)
        if not np.isfinite(G).all() or not np.isfinite(np.vdot(G, G)):
            nothing = np.column_stack([np.zeros((1, evidence.dim)), np.ones(1)])
            return AttainedMeasure(nothing, np.inf, np.inf, np.inf, False)
    found = attain_measure(evidence, np.column_stack([G, np.full(len(G), 1.0 / len(G))]), hopeless)
    penalty = found.dist if evidence.beta is None else 0.0
    return replace(found, value=evidence.cost(W, G) + penalty)


def _read_table(evidence: SampledEvidence, claim: Claim) -> tuple[Float64 | None, tuple[Check, ...]]:
    """The multipliers [u | μ τ λ ν] (k, d + 4) of the semidefinite bound; a failing check where malformed."""
    if claim.output_multiplier is None:
        return None, ()
    table = read_array(claim.output_multiplier)
    fits = table.ndim == 2 and table.shape[1] == evidence.dim + 4 and bool(np.isfinite(table).all())
    if not fits or bool((table[:, evidence.dim :] < 0.0).any()):
        detail = f"shape {table.shape}, expected (k, {evidence.dim + 4}), finite, multipliers ≥ 0"
        return None, (Check("the multipliers are well formed", False, detail),)
    return table, ()
