"""Whether to believe it: bounds recomputed from spec and data alone. Knows no solver and no theory."""

from __future__ import annotations

from convexwgan.certificates.attained import Attained, attain, best_response
from convexwgan.certificates.audit import Audit
from convexwgan.certificates.certificate import Certificate, Check, Infeasibility, Scope, Status
from convexwgan.certificates.certify import certify, lower_bound
from convexwgan.certificates.claim import Claim, PlainClaim
from convexwgan.certificates.infeasibility import find_infeasibility
from convexwgan.certificates.moments import GameEvidence, gather
from convexwgan.certificates.verify import verify

__all__ = [
    "Attained",
    "Audit",
    "Certificate",
    "Check",
    "Claim",
    "GameEvidence",
    "Infeasibility",
    "PlainClaim",
    "Scope",
    "Status",
    "attain",
    "best_response",
    "certify",
    "find_infeasibility",
    "gather",
    "lower_bound",
    "verify",
]
