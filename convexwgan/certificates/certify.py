"""The judge: a claim in, repaired arrays and their certificate out."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from convexwgan.certificates.adversary import Adversary, no_adversary, read_adversary, read_array
from convexwgan.certificates.attained import Attained, attain
from convexwgan.certificates.audit import Audit
from convexwgan.certificates.bounds import ANY_SCALE, LowerBound, Scales, discriminator_bound
from convexwgan.certificates.certificate import Certificate, Check, Infeasibility
from convexwgan.certificates.certify_measure import certify_measure
from convexwgan.certificates.certify_normal import certify_normal
from convexwgan.certificates.claim import Claim
from convexwgan.certificates.claimed_weights import read_weights
from convexwgan.certificates.costs import value_scale
from convexwgan.certificates.infeasibility import find_infeasibility
from convexwgan.certificates.line_certify import certify_line
from convexwgan.certificates.line_games import LineEvidence
from convexwgan.certificates.measures import MeasureEvidence
from convexwgan.certificates.moments import GameEvidence
from convexwgan.certificates.normal_games import NormalEvidence
from convexwgan.certificates.repair import is_feasible, repair
from convexwgan.certificates.sampled_outputs import SampledEvidence, certify_sampled
from convexwgan.certificates.spectral import rho_check, spectral_bound

Checks = tuple[Check, ...]


def certify(
    evidence: GameEvidence | LineEvidence | MeasureEvidence | NormalEvidence,
    claim: Claim,
    *,
    tol: float,
    repair: bool = True,
    scales: Scales = ANY_SCALE,
) -> Audit:
    """The certificate that a claim earns, after repair of its generator and its discriminator.

    lower ≤ min over generators of R_g (s.t. dist ≤ β_d, or + dist) ≤ upper, both from the evidence alone.

    Args:
        evidence: the game, from ``gather``.
        claim: weights and discriminator; nothing in it is believed.
        tol: the tolerance of CERTIFIED, on relative gap and violation.
        repair: whether an infeasible generator may be moved (``verify`` never does).
        scales: the factors on the discriminator that may be tried.

    Returns:
        Audit; its weights keep the dtype of the claimed ones and are the claimed object where not repaired.

    >>> from convexwgan.certificates import PlainClaim, gather
    >>> from convexwgan.spec.discriminator import Discriminator
    >>> from convexwgan.spec.generator import Generator
    >>> evidence = gather(Discriminator.linear(beta=1.0) + Generator.free(), np.array([[3.0]]))
    >>> audit = certify(evidence, PlainClaim(weights=np.array([[1.9]])), tol=1e-6)
    >>> audit.certificate.status.name, audit.weights.round(12).tolist()
    ('CERTIFIED', [[2.0]])
    """
    if isinstance(evidence, SampledEvidence):
        return certify_sampled(evidence, claim, tol=tol, repair=repair, scales=scales)
    if isinstance(evidence, MeasureEvidence):
        return certify_measure(evidence, claim, tol=tol, repair=repair, scales=scales)
    if isinstance(evidence, NormalEvidence):
        return certify_normal(evidence, claim, tol=tol, repair=repair, scales=scales)
    if isinstance(evidence, LineEvidence):
        return certify_line(evidence, claim, tol=tol, repair=repair)
    adversary, dual_checks = read_adversary(evidence, claim)
    W, dtype, weight_checks = read_weights(evidence, claim)
    if W is None:
        return _without_generator(evidence, adversary, tol, dual_checks + weight_checks)
    paid = _network_cost(evidence, claim)
    claimed = attain(evidence, W, paid)
    chosen = _repaired(evidence, claimed, dtype, tol) if repair and paid is None else claimed
    if chosen.violation > tol or _may_be_infeasible(evidence, chosen):
        infeasibility, checks = find_infeasibility(evidence, adversary)
        is_sound = all(check.holds for check in checks)
        if infeasibility is not None and (is_sound or chosen.violation > tol):
            return _infeasible(evidence, infeasibility, adversary, dual_checks + checks, tol)
    lower = lower_bound(evidence, adversary, chosen.value, tol, scales)
    if repair and chosen is not claimed:
        chosen = _preferred(evidence, claimed, chosen, lower, tol)
    certificate = _certificate(evidence, chosen, lower, tol, dual_checks)
    if repair and paid is None and certificate.status.name != "CERTIFIED":
        nothing = attain(evidence, np.zeros_like(W))
        if is_feasible(evidence, nothing) and nothing.value <= chosen.value:  # generating nothing is the optimum
            chosen, certificate = nothing, _certificate(evidence, nothing, lower, tol, dual_checks)
    moved = chosen is not claimed
    weights = chosen.W.astype(dtype) if moved else claim.weights
    return _audit(certificate, weights, lower.adversary, moved)


def lower_bound(
    evidence: GameEvidence,
    adversary: Adversary | None,
    upper: float,
    tol: float,
    scales: Scales = ANY_SCALE,
) -> LowerBound:
    """The better of the discriminator's bound and, if a gap is left, the spectral one; at least 0 ≤ R_g."""
    bound = discriminator_bound(evidence, adversary, scales)
    checks = (rho_check(evidence),) if _rests_on_rho(evidence) else ()
    if evidence.regularizer.kind != "custom" and not bound.value >= 0.0:
        bound = discriminator_bound(evidence, no_adversary(evidence.dim), scales)
    bound = replace(bound, checks=bound.checks + checks)
    if math.isinf(upper) or upper - bound.value > 0.01 * tol * max(abs(upper), abs(bound.value)):
        spectral = spectral_bound(evidence)
        if spectral is not None and spectral.value > bound.value:
            bound = replace(spectral, checks=checks + spectral.checks)
    return bound


def _rests_on_rho(evidence: GameEvidence) -> bool:
    """Whether a bound hangs on a decision about ρ; second moments and costs of weights do not."""
    if evidence.discriminator.kind == "quadratic" and not evidence.discriminator.skip:
        return False
    if evidence.discriminator.kind == "linear" and evidence.regularizer.of == "weights":
        return False  # ‖z̄‖ is a sum, and takes the place of ρ
    return evidence.latents.is_rho_decided


def _may_be_infeasible(evidence: GameEvidence, attained: Attained) -> bool:
    """Whether a proof of infeasibility is worth looking for: a violation within tolerance does not rule it out.

    Verdicts then agree on games that miss feasibility by less than the tolerance, whatever the method found.
    """
    if evidence.discriminator.kind == "polynomial":  # rays are searched for, which takes a while
        return not is_feasible(evidence, attained)
    return attained.violation > 0.0


def _network_cost(evidence: GameEvidence, claim: Claim) -> float | None:
    """(β_g/2)(‖W₁‖_F² + ‖W₂‖_F²) where a ReLU generator pays for its weights; None where the output pays."""
    if evidence.generator.kind != "relu" or evidence.regularizer.kind != "weights" or claim.hidden is None:
        return None
    W1, W2 = (read_array(part) for part in claim.hidden)
    return 0.5 * evidence.strength * float(np.vdot(W1, W1) + np.vdot(W2, W2))


def _repaired(evidence: GameEvidence, claimed: Attained, dtype: np.dtype[Any], tol: float) -> Attained:
    return claimed if is_feasible(evidence, claimed, dtype) else repair(evidence, claimed, dtype)


def _preferred(
    evidence: GameEvidence, claimed: Attained, repaired: Attained, lower: LowerBound, tol: float
) -> Attained:
    """The repaired generator, unless only the claimed one meets the tolerance in gap and violation."""

    def is_certified(attained: Attained) -> bool:
        return _certificate(evidence, attained, lower, tol, ()).status.name == "CERTIFIED"

    return claimed if is_certified(claimed) and not is_certified(repaired) else repaired


def _certificate(
    evidence: GameEvidence, attained: Attained, lower: LowerBound, tol: float, checks: Checks
) -> Certificate:
    recomputed = Check(
        "bounds recomputed in float64 from spec and data",
        True,
        f"dist {attained.dist:.9g}, β_d {'none' if evidence.beta is None else format(evidence.beta, '.9g')}",
    )
    return Certificate(
        lower.value,
        attained.value,
        attained.violation,
        "exhaustive",
        (recomputed, *checks, *attained.checks, *lower.checks),
        tol=tol,
        scale=value_scale(evidence),
    )


def _without_generator(evidence: GameEvidence, adversary: Adversary | None, tol: float, checks: Checks) -> Audit:
    """No weights: a proof of infeasibility, or a lower bound with nothing to compare it with."""
    infeasibility, proof_checks = find_infeasibility(evidence, adversary)
    if infeasibility is not None:
        return _infeasible(evidence, infeasibility, adversary, checks + proof_checks, tol)
    lower = lower_bound(evidence, adversary, np.inf, tol)
    certificate = Certificate(
        lower.value,
        np.inf,
        np.inf,
        "exhaustive",
        (*checks, *lower.checks),
        tol=tol,
        scale=value_scale(evidence),
        has_candidate=False,
    )
    return _audit(certificate, None, lower.adversary, False)


def _infeasible(
    evidence: GameEvidence,
    infeasibility: Infeasibility,
    adversary: Adversary | None,
    checks: Checks,
    tol: float,
) -> Audit:
    """A ray needs the discriminator that was supplied; every other proof is in the data."""
    proven = Check("infeasibility proven from the data", True, infeasibility.text)
    certificate = Certificate(
        np.inf,
        np.inf,
        np.inf,
        "exhaustive",
        (proven, *checks),
        infeasibility=infeasibility,
        tol=tol,
        scale=value_scale(evidence),
        has_candidate=False,
    )
    return _audit(certificate, None, adversary if infeasibility.kind == "ray" else None, False)


def _audit(certificate: Certificate, weights: Any, adversary: Adversary | None, repaired: bool) -> Audit:
    if adversary is None:
        return Audit(certificate, weights, repaired=repaired)
    return Audit(
        certificate,
        weights,
        adversary.u,
        adversary.v,
        adversary.skip,
        adversary.multiplier,
        repaired,
    )
