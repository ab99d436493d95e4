"""From a claimed distribution and discriminator to a certificate of the population game."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.certificates.adversary import read_adversary, read_array
from convexwgan.certificates.audit import Audit
from convexwgan.certificates.certificate import Certificate, Check, Infeasibility
from convexwgan.certificates.claim import Claim
from convexwgan.certificates.few_outputs import too_few_outputs
from convexwgan.certificates.measures import (
    AttainedMeasure,
    DualBound,
    MeasureEvidence,
    attain_measure,
    bound_checks,
    measure_bound,
    mixed_with_data,
    scope_of,
)
from convexwgan.certificates.sector_tree import most_cost, tree_bound

_ROUNDING = 1e-12
_INFEASIBLE = 1e-6


def certify_measure(
    evidence: MeasureEvidence, claim: Claim, *, tol: float, repair: bool, scales: tuple[float, float]
) -> Audit:
    """The certificate that a distribution and a discriminator earn; see ``certify``."""
    adversary, dual_checks = read_adversary(evidence, claim)
    empty = np.zeros((0, evidence.dim + evidence.has_bias))
    u, v = (empty, np.zeros(0)) if adversary is None else (adversary.u, adversary.v)
    dual = measure_bound(evidence, u, v, scales)
    dual, tree, tree_checks = _better_tree(evidence, claim, dual)
    dual_checks += tree_checks
    own_u, own_v = (dual.u, dual.v) if tree is None else (None, None)  # across a tree no discriminator attains
    table, weight_checks = _read_table(evidence, claim)
    infeasibility = _too_few(evidence)
    if infeasibility is not None:
        return _missed(evidence, infeasibility, dual_checks + weight_checks, tol)
    if tree is not None and dual.value > (most := most_cost(evidence)) * (1.0 + _INFEASIBLE):
        return Audit(_infeasible(evidence, dual.value, most, dual_checks + weight_checks, tol), None, tree=tree)
    if table is None:
        found = Certificate(
            dual.value, np.inf, 0.0, scope_of(dual.is_proven), dual_checks + weight_checks, tol=tol,
            scale=evidence.scale, has_candidate=False,
        )  # fmt: skip
        return Audit(found, None, own_u, own_v, tree=tree)
    claimed = attain_measure(evidence, table)
    chosen = claimed
    if repair and evidence.samples is None and claimed.violation > _ROUNDING and claimed.is_proven:
        mixed = attain_measure(evidence, mixed_with_data(evidence, claimed))
        certified = [_certificate(evidence, found, dual, tol, dual_checks) for found in (claimed, mixed)]
        if certified[0].status.name != "CERTIFIED":
            chosen = mixed
    if repair:
        limit = np.inf if evidence.beta is None else evidence.beta
        nothing = attain_measure(evidence, np.append(np.zeros(evidence.dim), 1.0)[None], limit)
        if nothing.violation == 0.0 and nothing.value <= chosen.value:
            chosen = nothing
    certificate = _certificate(evidence, chosen, dual, tol, dual_checks)
    weights = claim.weights
    if chosen is not claimed:
        weights = chosen.table if evidence.samples is None else np.zeros((evidence.samples, evidence.dim))
    return Audit(certificate, weights, own_u, own_v, repaired=chosen is not claimed, tree=tree)


def _better_tree(
    evidence: MeasureEvidence, claim: Claim, dual: DualBound
) -> tuple[DualBound, Mapping[str, Float64] | None, tuple[Check, ...]]:
    """The lower bound of a claimed tree where that beats the discriminator's, else what there was."""
    if claim.tree is None:
        return dual, None, ()
    found = tree_bound(evidence, claim.tree)
    if found.value <= dual.value or not all(check.holds for check in found.checks):
        return dual, None, () if all(check.holds for check in found.checks) else found.checks
    return DualBound(found.value, 0.0, dual.u[:0], dual.v[:0], True), found.arrays, found.checks


def _too_few(evidence: MeasureEvidence) -> Infeasibility | None:
    """What fewer outputs than dimensions miss; the measures themselves are never infeasible: ν may be the data."""
    if evidence.samples is None or evidence.beta is None:
        return None
    return too_few_outputs(evidence.X, float(evidence.weights[0]), evidence.samples, evidence.beta)


def _missed(evidence: MeasureEvidence, infeasibility: Infeasibility, checks: tuple[Check, ...], tol: float) -> Audit:
    proven = Check("infeasibility proven from the data", True, infeasibility.text)
    certificate = Certificate(
        np.inf, np.inf, np.inf, "exhaustive", (proven, *checks), infeasibility=infeasibility, tol=tol,
        scale=evidence.scale, has_candidate=False,
    )  # fmt: skip
    return Audit(certificate, None)


def _read_table(evidence: MeasureEvidence, claim: Claim) -> tuple[Float64 | None, tuple[Check, ...]]:
    """[atoms | probabilities] in float64, the probabilities ≥ 0 and scaled to sum 1; None where it is malformed."""
    if claim.weights is None:
        return None, ()
    table = read_array(claim.weights)
    if evidence.samples is not None:
        return _as_table(evidence, table)
    fits = table.ndim == 2 and table.shape[1] == evidence.dim + 1 and len(table) > 0
    fits = fits and bool(np.isfinite(table).all()) and bool((table[:, -1] >= 0.0).all())
    total = float(table[:, -1].sum()) if fits else 0.0
    if not fits or abs(total - 1.0) > 1e-5:
        detail = f"shape {table.shape}, expected (k, {evidence.dim + 1}), finite, probabilities ≥ 0 of sum 1"
        return None, (Check("the distribution is well formed", False, detail),)
    scaled = table.copy()
    scaled[:, -1] /= total
    return scaled, ()


def _as_table(evidence: MeasureEvidence, G: Float64) -> tuple[Float64 | None, tuple[Check, ...]]:
    """The output of a free generator, (n_f, d), as the distribution of n_f equal masses."""
    shape = (evidence.samples, evidence.dim)
    if G.shape != shape or not np.isfinite(G).all():
        detail = f"shape {G.shape}, expected {shape} and finite"
        return None, (Check("the generator is well formed", False, detail),)
    return np.column_stack([G, np.full(len(G), 1.0 / len(G))]), ()


def _infeasible(
    evidence: MeasureEvidence, lower: float, most: float, checks: tuple[Check, ...], tol: float
) -> Certificate:
    """Every feasible G costs at most ``most`` in the plane of the tree, and the tree proves more."""
    text = f"any {evidence.samples} samples with dist ≤ β_d cost at most {most:.6g}, and the tree proves ≥ {lower:.6g}"
    margin = min(lower, 1e300) - most
    proof = Infeasibility("tree", text, margin, _INFEASIBLE * most)
    proven = Check("infeasibility proven from the data", True, text)
    return Certificate(
        np.inf, np.inf, np.inf, "exhaustive", (proven, *checks), infeasibility=proof, tol=tol,
        scale=evidence.scale, has_candidate=False,
    )  # fmt: skip


def _certificate(
    evidence: MeasureEvidence, attained: AttainedMeasure, dual: DualBound, tol: float, checks: tuple[Check, ...]
) -> Certificate:
    return Certificate(
        dual.value,
        attained.value,
        attained.violation,
        scope_of(attained.is_proven and dual.is_proven),
        checks + bound_checks(attained, dual),
        tol=tol,
        scale=evidence.scale,
    )
