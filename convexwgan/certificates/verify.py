"""Verification of a finished solution against the problem: nothing is repaired, everything is compared."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from convexwgan.certificates.adversary import Adversary, quadratic_core, read_adversary
from convexwgan.certificates.audit import Audit
from convexwgan.certificates.bounds import LowerBound, Scales, discriminator_bound
from convexwgan.certificates.certificate import Certificate, Check
from convexwgan.certificates.certify import certify
from convexwgan.certificates.claim import Claim
from convexwgan.certificates.evidence import Evidence, gather_evidence
from convexwgan.certificates.line_certify import same_line_discriminator
from convexwgan.certificates.line_games import LineEvidence
from convexwgan.certificates.measures import MeasureEvidence, measure_bound
from convexwgan.certificates.moments import GameEvidence, Normalize
from convexwgan.certificates.normal_games import NormalEvidence, normal_bound
from convexwgan.certificates.weights import weight_checks
from convexwgan.errors import InputError
from convexwgan.spec.latent import Latent
from convexwgan.spec.wgan import WGAN

__all__ = ["Audit", "certify", "verify"]

LOOSEST_TOLERANCE = 1e-2
"""A solution may state its own tolerance, but not one so loose that "certified" would mean nothing."""


class ProblemLike(Protocol):
    """What ``verify`` reads of a problem."""

    @property
    def wgan(self) -> WGAN: ...
    @property
    def X(self) -> Any: ...
    @property
    def Z(self) -> Any: ...
    @property
    def latent(self) -> Latent | None: ...
    @property
    def n_fake(self) -> int | None: ...
    @property
    def normalize(self) -> Normalize: ...
    def fingerprint(self) -> str: ...


class SolutionLike(Protocol):
    """What ``verify`` reads of a solution."""

    @property
    def claim(self) -> Claim: ...
    @property
    def wgan(self) -> WGAN: ...
    @property
    def fingerprint(self) -> str | None: ...
    @property
    def tol(self) -> float: ...


def verify(problem: ProblemLike, solution: SolutionLike) -> Certificate:
    """An independent certificate of a solution: a tampered or wrong one is never CERTIFIED.

    The evidence is gathered afresh from the problem's own data. Neither generator nor discriminator is
    repaired; beyond the bounds it is checked that architecture, data, value, bound and discriminator are what
    the solution says, and that the weights of a ReLU generator (``solution.realization``) have earned what is
    claimed of them.

    Args:
        problem: the problem that the solution claims to solve.
        solution: its claim, architecture, data fingerprint and tolerance.

    Returns:
        Certificate at the solution's tolerance.
    """
    for subject, value, part in (("problem", problem, "fingerprint"), ("solution", solution, "claim")):
        if not hasattr(value, part):
            raise InputError(subject, value, f"be a {subject.capitalize()}", "call verify(problem, solution)")
    claim, tol = solution.claim, float(solution.tol)
    evidence = gather_evidence(
        problem.wgan,
        problem.X,
        Z=problem.Z,
        latent=problem.latent,
        n_fake=problem.n_fake,
        normalize=problem.normalize,
    )
    precision = _precision(claim, tol)
    certificate = certify(evidence, claim, tol=tol, repair=False, scales=_window(claim)).certificate
    realization = getattr(solution, "realization", None)
    checks = (
        _same_architecture(problem.wgan, solution.wgan),
        _same_data(problem.fingerprint(), solution.fingerprint),
        Check("the tolerance is a tolerance", 0.0 < tol <= LOOSEST_TOLERANCE, f"{tol:g}"),
        *_same_numbers(certificate, claim, precision),
        *_same_discriminator(evidence, certificate, claim, precision),
        *(() if realization is None else weight_checks(evidence, claim.hidden, realization, precision)),
    )
    return replace(certificate, checks=certificate.checks + checks)


def _precision(claim: Claim, tol: float) -> float:
    """How well claimed numbers can be reproduced: 1e-9, or 1e-5 from float32 arrays, never worse than the tolerance."""
    arrays = (claim.weights, *(claim.hidden or ()), claim.neurons_u, claim.neurons_v)
    return min(1e-5, 0.1 * tol) if any(_is_float32(part) for part in arrays) else 1e-9


def _window(claim: Claim) -> Scales:
    """Factors on the stored discriminator that its own rounding explains."""
    width = 1e-6 if any(_is_float32(part) for part in (claim.neurons_u, claim.neurons_v)) else 1e-10
    return 1.0 - width, 1.0 + width


def _is_float32(array: Any) -> bool:
    return str(getattr(array, "dtype", "")).endswith("float32")


def _same_architecture(expected: WGAN, found: Any) -> Check:
    """Equal specs; a custom function that was not saved cannot be compared and passes."""
    name = "the architecture is the problem's"
    if not isinstance(found, WGAN):
        return Check(name, False, "the solution has none")
    same_players = (expected.discriminator, expected.generator) == (found.discriminator, found.generator)
    ours, theirs = expected.regularizer, found.regularizer
    unsaved = ours.kind == theirs.kind == "custom" and ours.of == theirs.of and theirs.is_unsaved
    detail = f"{found!r}" if same_players else f"{found!r}, expected {expected!r}"
    return Check(name, same_players and (ours == theirs or unsaved), detail)


def _same_data(expected: str, found: str | None) -> Check:
    name = "the data are the problem's"
    if found is None:
        return Check(name, True, "the solution carries no fingerprint")
    return Check(name, found == expected, f"SHA-256 {found[:12]}…, expected {expected[:12]}…")


def _same_numbers(certificate: Certificate, claim: Claim, precision: float) -> list[Check]:
    """The claimed value is what the weights attain, the claimed bound no more than what is proven."""
    checks, allowance = [], _allowance(certificate, precision)
    if claim.value is not None:
        holds = _close(float(claim.value), certificate.upper, allowance)
        text = f"claimed {claim.value:.12g}, recomputed {certificate.upper:.12g}"
        checks.append(Check("the value is what the weights attain", holds, text))
    if claim.bound is not None:
        holds = float(claim.bound) <= certificate.lower + allowance or claim.bound == certificate.lower
        text = f"claimed {claim.bound:.12g}, recomputed {certificate.lower:.12g}"
        checks.append(Check("the bound is proven", bool(holds), text))
    return checks


def _allowance(certificate: Certificate, precision: float) -> float:
    sizes = [abs(x) for x in (certificate.upper, certificate.lower) if math.isfinite(x)]
    return precision * max([*sizes, 1e-6 * certificate.scale])


def _close(claimed: float, recomputed: float, allowance: float) -> bool:
    return claimed == recomputed or abs(claimed - recomputed) <= allowance


def _same_discriminator(evidence: Evidence, certificate: Certificate, claim: Claim, precision: float) -> list[Check]:
    """The stored discriminator is dual feasible as it stands, and alone proves the claimed bound."""
    if isinstance(evidence, LineEvidence):
        return same_line_discriminator(evidence, certificate, claim, _allowance(certificate, precision))
    adversary, _ = read_adversary(evidence, claim)
    if adversary is None or certificate.infeasibility is not None:
        return []
    excess, text = _dual_excess(evidence, adversary)
    slack = max(precision, 1e-8)
    checks = [Check("the discriminator is feasible as stored", excess <= slack, text)]
    attained = _own_bound(evidence, adversary, _window(claim))
    alone = replace(certificate, lower=attained.value)
    closes = attained.value >= certificate.lower or alone.relative_gap <= certificate.tol
    text = f"its own bound {attained.value:.12g}, relative gap {alone.relative_gap:.1e}"
    checks.append(Check("the discriminator closes the gap", closes, text))
    if claim.bound is not None:
        allowance = _allowance(certificate, precision) + 4.0 * attained.rounding
        holds = float(claim.bound) <= attained.value + allowance
        text = f"claimed {claim.bound:.12g}, its own bound {attained.value:.12g}"
        checks.append(Check("the discriminator attains the bound", bool(holds), text))
    return checks


def _own_bound(
    evidence: GameEvidence | MeasureEvidence | NormalEvidence, adversary: Adversary, window: Scales
) -> LowerBound:
    """What the discriminator proves as it stands."""
    if isinstance(evidence, NormalEvidence):
        proven = normal_bound(evidence, adversary.u, adversary.v, window)
        return LowerBound(proven.value, proven.rounding)
    if isinstance(evidence, MeasureEvidence):
        found = measure_bound(evidence, adversary.u, adversary.v, window)
        return LowerBound(found.value, found.rounding)
    return discriminator_bound(evidence, adversary, window)


def _dual_excess(evidence: GameEvidence | MeasureEvidence | NormalEvidence, adversary: Adversary) -> tuple[float, str]:
    """The largest relative violation of ‖u_j‖ ≤ 1, λ_max(R) ≤ β_g/2, Σ|v_j| minimal or ≤ 1, y = (2/ρ)Nm."""
    longest = float(np.linalg.norm(adversary.u[:, : evidence.dim], axis=1).max(initial=0.0)) - 1.0
    found = {"‖u_j‖ − 1": longest}
    if evidence.beta is None:
        found["Σ|v_j| − 1"] = adversary.variation - 1.0
    if isinstance(evidence, NormalEvidence):
        found["λ_max(c²Σ(λ − μ)uuᵀ)/(β_g/2) − 1"] = normal_bound(evidence, adversary.u, adversary.v).excess
    if isinstance(evidence, MeasureEvidence | NormalEvidence):
        return max(found.values()), f"largest excess: {max(found, key=lambda name: found[name])}"
    if evidence.discriminator.kind == "quadratic":
        found |= _quadratic_excess(evidence, adversary)
    elif evidence.discriminator.kind == "polynomial":
        u, weighted = adversary.u, evidence.discriminator.activation[0] * adversary.v
        largest = float(np.linalg.eigvalsh((u.T * weighted) @ u)[-1])
        found["λ_max(R)/(β_g/2) − 1"] = largest / (0.5 * evidence.strength) - 1.0
    elif evidence.discriminator.kind == "linear":
        norm = float(np.linalg.norm(adversary.combined()))
        found["Σ|v_j|/‖y‖ − 1"] = adversary.variation / norm - 1.0 if norm > 0 else adversary.variation
    worst = max(found, key=lambda name: found[name])
    return found[worst], f"largest excess: {worst} = {found[worst]:.1e}"


def _quadratic_excess(evidence: GameEvidence, adversary: Adversary) -> dict[str, float]:
    Q, r, _ = quadratic_core(adversary)
    nuclear = float(np.abs(r).sum())
    found = {
        "λ_max(R)/(β_g/2) − 1": float(r.max(initial=0.0)) / (0.5 * evidence.strength) - 1.0,
        "Σ|v_j|/‖R‖_* − 1": adversary.variation / nuclear - 1.0 if nuclear > 0 else adversary.variation,
    }
    if evidence.uses_skip_mean:
        m, rho = evidence.real.m, evidence.latents.rho_upper
        best = (evidence.strength * m - 2.0 * (Q @ (r * (Q.T @ m)))) / rho
        stored = np.zeros(evidence.dim) if adversary.skip is None else adversary.skip
        size = evidence.strength * evidence.real.mean_scale / rho
        found["‖y − (2/ρ)Nm‖"] = float(np.linalg.norm(stored - best)) / size if size > 0 else 0.0
    return found
