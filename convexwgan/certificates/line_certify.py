"""The judge on the line: outputs, dist by its definition, and the bound that a discriminator with biases proves."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.certificates.adversary import read_array
from convexwgan.certificates.audit import Audit
from convexwgan.certificates.certificate import Certificate, Check, Infeasibility
from convexwgan.certificates.claim import Claim
from convexwgan.certificates.claimed_weights import read_weights
from convexwgan.certificates.latents import FreeLatents
from convexwgan.certificates.line_bounds import Neurons, line_bound
from convexwgan.certificates.line_cones import tree_bound
from convexwgan.certificates.line_games import LineEvidence
from convexwgan.certificates.line_orders import multiplier_shape, sorted_bound, sorted_infeasibility
from convexwgan.spec.user_functions import TRIALS, sees_order

Checks = tuple[Check, ...]
_NOTICEABLE = 1e-7
_LINEAR = ("linear", "polynomial")
_CONJUGATE = "conjugate of the regulariser"


def certify_line(evidence: LineEvidence, claim: Claim, *, tol: float, repair: bool = True) -> Audit:
    """The certificate of a claim about one feature and ReLU neurons with bias.

    upper: R_g of the outputs (+ dist under a norm bound); lower: ``line_bound`` or ``sorted_bound``. Outputs that are
    a little too far are moved towards the data where n_f is a multiple of n_r: dist of sorted outputs is convex, and 0
    at the data.

    Args:
        evidence: from ``gather_line``.
        claim: weights (or a network) and neurons with biases; nothing in it is believed.
        tol: the tolerance of CERTIFIED.
        repair: whether outputs may be moved.
    """
    D, dual_checks = _read_neurons(claim)
    M, order_checks = _read_multipliers(evidence, claim)
    W, dtype, weight_checks = read_weights(evidence, claim)
    tree = tree_bound(evidence, _tree(evidence, claim))
    checks = dual_checks + order_checks + weight_checks + tree.checks
    w = None if W is None else evidence.latents.output(W)[:, 0]
    dist = math.inf if w is None else evidence.dist(w)
    if evidence.violation(dist) > tol:
        infeasibility = tree.infeasibility if M is None else sorted_infeasibility(evidence, M)
        if infeasibility is not None:
            return _infeasible(evidence, infeasibility, claim.output_multiplier, checks, tol)
    moved = False
    if repair and W is not None and w is not None and claim.hidden is None:
        W, moved = _repaired(evidence, W, dist, dtype)
        w = evidence.latents.output(W)[:, 0]
        dist = evidence.dist(w)
    paid = math.inf if W is None else evidence.paid(W, _network(claim))
    proof = _best_proof(evidence, D, M, math.inf if w is None else evidence.of_outputs.cost(w))
    if tree.value > max(proof.lower, 0.0):
        proof = _Proof(tree.value, Audit(proof.audit.certificate, None, output_multiplier=_tree(evidence, claim)))
    checks += _assumptions(evidence)
    penalty = dist if evidence.beta is None else 0.0
    certificate = Certificate(
        proof.lower,
        math.inf if W is None else paid + penalty,
        evidence.violation(dist),
        "exhaustive",
        (_recomputed(evidence, dist), *checks),
        tol=tol,
        scale=evidence.value_scale,
        has_candidate=w is not None,
    )
    weights = W.astype(dtype) if moved and W is not None else claim.weights
    return replace(proof.audit, certificate=certificate, weights=weights, repaired=moved)


class _Proof(NamedTuple):
    lower: float
    audit: Audit


def _best_proof(evidence: LineEvidence, D: Neurons, M: Float64 | None, paid: float) -> _Proof:
    """The discriminator's bound, or where they prove more the multipliers', for which no discriminator is claimed."""
    blank = Certificate(0.0, math.inf, math.inf, "exhaustive", ())
    if evidence.regularizer.kind == "custom":
        return _Proof(-math.inf if M is None else sorted_bound(evidence, M), Audit(blank, None, output_multiplier=M))
    lower, found = line_bound(evidence.of_outputs, D, paid)
    ordered = 0.0 if M is None else sorted_bound(evidence.of_outputs, M)
    if M is not None and ordered > lower + _NOTICEABLE * ordered:
        return _Proof(ordered, Audit(blank, None, output_multiplier=M))
    return _Proof(lower, Audit(blank, None, found.u[:, None], found.v, neurons_b=found.b))


def _assumptions(evidence: LineEvidence) -> Checks:
    """What a bound on a custom cost rests on: its conjugate, on trust, and no order of the outputs, tried."""
    value, conjugate = evidence.regularizer.value, evidence.regularizer.conjugate
    if evidence.regularizer.kind != "custom":
        return ()
    trust = () if conjugate is None else (Check(_CONJUGATE, True, "assumed: user-supplied conjugate"),)
    if value is None:
        return trust
    unit = float(np.abs(evidence.x).max()) or 1.0
    holds = not sees_order(value, evidence.n_fake, unit)
    text = f"assumed: {TRIALS} permutations of random outputs left it alone" if holds else "a permutation changed it"
    return (*trust, Check("no order of the outputs changes the custom cost", holds, text))


def _network(claim: Claim) -> tuple[Float64, Float64] | None:
    """(W₁, W₂) in float64."""
    return None if claim.hidden is None else (read_array(claim.hidden[0]), read_array(claim.hidden[1]))


def _infeasible(evidence: LineEvidence, infeasibility: Infeasibility, M: Any, checks: Checks, tol: float) -> Audit:
    proven = Check("infeasibility proven from the data", True, infeasibility.text)
    certificate = Certificate(
        math.inf, math.inf, math.inf, "exhaustive", (proven, *checks), infeasibility=infeasibility, tol=tol,
        scale=evidence.value_scale, has_candidate=False,
    )  # fmt: skip
    return Audit(certificate, None, output_multiplier=M)


def _repaired(evidence: LineEvidence, W: Float64, dist: float, dtype: np.dtype[np.floating]) -> tuple[Float64, bool]:
    """Outputs 0 where those are feasible, which nothing beats; else what is too far moved towards the data."""
    nothing = np.zeros_like(W)
    within = evidence.beta is not None and evidence.dist(evidence.latents.output(nothing)[:, 0]) <= evidence.beta
    if within and (evidence.regularizer.kind != "custom" or evidence.paid(nothing) <= evidence.paid(W)):
        return nothing, bool(W.any())
    if evidence.violation(dist) > 0.0 and math.isfinite(dist):
        closer = _towards_data(evidence, W[:, 0], dist, dtype)
        if closer is not None:
            return closer[:, None], True
    return W, False


def _recomputed(evidence: LineEvidence, dist: float) -> Check:
    beta = "none" if evidence.beta is None else format(evidence.beta, ".9g")
    return Check("bounds recomputed in float64 from spec and data", True, f"dist {dist:.9g}, β_d {beta}")


def _towards_data(evidence: LineEvidence, w: Float64, dist: float, dtype: np.dtype[np.floating]) -> Float64 | None:
    """(1 − θ)w + θx in sorted order with (1 − θ)dist = β_d less the rounding of the stored numbers."""
    copies, rest = divmod(len(w), len(evidence.x))
    if rest or evidence.beta is None or not isinstance(evidence.latents, FreeLatents):
        return None
    eps = float(np.finfo(dtype).eps)
    target = evidence.beta - 4.0 * max(eps, evidence.roundoff) * (evidence.size + evidence.beta)
    share = 1.0 - max(0.0, target) / dist
    if not 0.0 < share < 1.0:
        return None
    moved = np.empty_like(w)
    order = np.argsort(w, kind="stable")
    moved[order] = (1.0 - share) * w[order] + share * np.repeat(evidence.x, copies)
    stored = np.asarray(moved.astype(dtype).astype(np.float64))
    return stored if evidence.dist(stored) < dist else None


def _tree(evidence: LineEvidence, claim: Claim) -> Float64 | None:
    """The tree of cones of a generator whose outputs are linear in its weights."""
    if claim.output_multiplier is None or evidence.generator.kind not in _LINEAR:
        return None
    return read_array(claim.output_multiplier)


def _read_multipliers(evidence: LineEvidence, claim: Claim) -> tuple[Float64 | None, Checks]:
    """Multipliers of the integrated quantiles, (T, 2); a failing check where they are malformed."""
    if claim.output_multiplier is None or evidence.generator.kind in _LINEAR:
        return None, ()
    M = read_array(claim.output_multiplier)
    if M.shape != multiplier_shape(evidence) or not bool(np.isfinite(M).all()):
        detail = f"shape {M.shape}, expected {multiplier_shape(evidence)} and finite"
        return None, (Check("the multipliers are well formed", False, detail),)
    return M, ()


def _read_neurons(claim: Claim) -> tuple[Neurons, Checks]:
    """u (k, 1), v (k,), b (k,) as float64; none where none were claimed, a failing check where they are malformed."""
    parts = (claim.neurons_u, claim.neurons_v, claim.neurons_b)
    nothing = Neurons(np.zeros(0), np.zeros(0), np.zeros(0))
    if parts[0] is None and parts[1] is None:
        return nothing, ()
    u, v, b = (np.zeros((0, 1)) if part is None else read_array(part) for part in parts)
    fits = u.ndim == 2 and u.shape[1] == 1 and v.shape == b.shape == (len(u),)
    if not fits or not all(bool(np.isfinite(part).all()) for part in (u, v, b)):
        shapes = f"shapes {u.shape}, {v.shape}, {b.shape}, or not finite"
        return nothing, (Check("the discriminator is well formed", False, shapes),)
    return Neurons(u[:, 0], b, v), ()


def same_line_discriminator(
    evidence: LineEvidence, certificate: Certificate, claim: Claim, allowance: float
) -> list[Check]:
    """The stored neurons are in the ball (Σ|v_j| ≤ 1 under a norm bound), and prove the claimed bound as they stand."""
    D, malformed = _read_neurons(claim)
    if malformed or len(D.v) == 0:
        return []
    excess = float(np.abs(D.u).max()) - 1.0
    if evidence.beta is None:
        excess = max(excess, float(np.abs(D.v).sum()) - 1.0)
    checks = [Check("the discriminator is feasible as stored", excess <= 1e-8, f"largest excess {excess:.1e}")]
    if claim.bound is not None:
        holds = float(claim.bound) <= certificate.lower + allowance
        text = f"claimed {claim.bound:.12g}, its own bound {certificate.lower:.12g}"
        checks.append(Check("the discriminator attains the bound", bool(holds), text))
    return checks
