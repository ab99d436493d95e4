"""From claimed weights and neurons to a certificate of a linear generator on Gaussian noise."""

from __future__ import annotations

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.certificates.adversary import Adversary, read_adversary, read_array
from convexwgan.certificates.audit import Audit
from convexwgan.certificates.certificate import Certificate, Check, Infeasibility
from convexwgan.certificates.claim import Claim
from convexwgan.certificates.measures import scope_of
from convexwgan.certificates.normal_games import (
    AttainedNormal,
    NormalBound,
    NormalEvidence,
    attain_normal,
    normal_bound,
    normal_ray,
)

Checks = tuple[Check, ...]


def certify_normal(
    evidence: NormalEvidence, claim: Claim, *, tol: float, repair: bool, scales: tuple[float, float]
) -> Audit:
    """The certificate that W and a dual point earn; see ``certify``.

    W is never moved: what is tried in its place is W = 0, where that is feasible and cheaper.
    """
    adversary, dual_checks = read_adversary(evidence, claim)
    W, weight_checks = _read_weights(evidence, claim)
    checks = dual_checks + weight_checks
    u = np.zeros((0, evidence.dim)) if adversary is None else adversary.u
    v = np.zeros(0) if adversary is None else adversary.v
    claimed = None if W is None else attain_normal(evidence, W)
    if claimed is None or claimed.violation > 0.0:
        ray = normal_ray(evidence, u, v)
        if ray is not None and (claimed is None or claimed.violation > tol or not repair):
            return _infeasible(evidence, ray, Adversary(u, v), checks, tol)
    bound = normal_bound(evidence, u, v, scales)
    nothing = attain_normal(evidence, np.zeros((evidence.latent_dim, evidence.dim)), evidence.beta) if repair else None
    if nothing is not None and nothing.violation == 0.0 and (claimed is None or nothing.value <= claimed.value):
        certificate = _certificate(evidence, nothing, bound, tol, dual_checks)
        return Audit(certificate, nothing.W, bound.u, bound.v, repaired=True)
    if claimed is None:
        found = Certificate(
            bound.value, np.inf, 0.0, "priced", (*checks, _dual_check(bound)), tol=tol, scale=evidence.scale,
            has_candidate=False,
        )  # fmt: skip
        return Audit(found, None, bound.u, bound.v)
    return Audit(_certificate(evidence, claimed, bound, tol, checks), claim.weights, bound.u, bound.v)


def _read_weights(evidence: NormalEvidence, claim: Claim) -> tuple[Float64 | None, Checks]:
    if claim.weights is None:
        return None, ()
    W, shape = read_array(claim.weights), (evidence.latent_dim, evidence.dim)
    if W.shape != shape or not np.isfinite(W).all():
        return None, (Check("the weights are well formed", False, f"shape {W.shape}, expected {shape} and finite"),)
    return W, ()


def _dual_check(bound: NormalBound) -> Check:
    return Check("(β_g/2)I − c²Σ(λ − μ)uuᵀ ⪰ 0 after scaling", True, f"lower bound {bound.value:.9g}")


def _certificate(
    evidence: NormalEvidence, attained: AttainedNormal, bound: NormalBound, tol: float, checks: Checks
) -> Certificate:
    how = "by branch and bound" if attained.is_proven else "searched only"
    dist = Check("dist bounded over all neurons", True, f"{attained.dist:.9g}, {how}, β_d {evidence.beta:.9g}")
    return Certificate(
        bound.value,
        attained.value,
        attained.violation,
        scope_of(attained.is_proven),
        (*checks, dist, _dual_check(bound)),
        tol=tol,
        scale=evidence.scale,
    )


def _infeasible(
    evidence: NormalEvidence, ray: Infeasibility, adversary: Adversary, checks: Checks, tol: float
) -> Audit:
    proven = Check("infeasibility proven from the data", True, ray.text)
    certificate = Certificate(
        np.inf, np.inf, np.inf, "priced", (proven, *checks), infeasibility=ray, tol=tol, scale=evidence.scale,
        has_candidate=False,
    )  # fmt: skip
    return Audit(certificate, None, adversary.u, adversary.v)
