"""How much memory a conic program takes in Clarabel, known before it is built."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from convexwgan.errors import InputError, MemoryLimitError

Kind = Literal["mean", "mean_norm", "covariance", "polynomial"]

_NUMBER = 8  # bytes in a float64
_FIXED = 60_000_000  # CVXPY and the solver themselves
_ADVICE = {
    "covariance": "use method='closed_form', or project the data on fewer components first",
    "polynomial": "project the data on fewer components first: the program has no closed form",
    "mean": "use method='closed_form'",
    "mean_norm": "use Regularizer.output or .weights, which have a closed form, or fewer samples",
}


def predict_bytes(kind: Kind, shapes: Mapping[str, int]) -> int:
    """Peak memory in bytes that Clarabel, through CVXPY, needs for a program: an upper estimate.

    A semidefinite cone of side d puts a dense block of side D = d(d+1)/2 into the KKT matrix; with three
    cones and the factor 31 D² numbers were measured at d = 20, 40 and 26 D² at d = 60. Programs in the
    weights W (p, d) or in the output G (n, d) grow with their entries and with the products in G = ZW.

    Args:
        kind: "covariance", "polynomial", "mean" (quadratic cost) or "mean_norm" (norm or custom cost).
        shapes: "d", the dimension of the data; for weights "p", the columns of Z (leave it out for a free
            generator); "n", the rows of G, where G is a variable: free generator, or a cost of G = ZW.

    >>> predict_bytes("covariance", {"d": 60}) // 10**6
    890
    """
    d, p, n = (shapes.get(name, 0) for name in "dpn")
    if kind in ("covariance", "polynomial"):
        side = d if kind == "covariance" else d + 1
        return _FIXED + _NUMBER * 31 * (side * (side + 1) // 2) ** 2
    weights = p * d * (30 * p + 120)
    output = n * d * (1250 + 27 * p if kind == "mean_norm" else 0 if p else 120)
    return _FIXED + _NUMBER * (weights + output)


def available_bytes() -> int:
    """Memory that this process can still take: what the system has free, and what its control group allows.

    >>> available_bytes() > 0
    True
    """
    limits = [_system_bytes(), _group_bytes(Path("/sys/fs/cgroup"))]
    return min(limit for limit in limits if limit is not None)


def check_memory(kind: Kind, shapes: Mapping[str, int], *, limit: int | None = None) -> int:
    """The bytes that a program needs; refused before it is built where there are not as many.

    Args:
        kind, shapes: as for ``predict_bytes``.
        limit: bytes allowed; None asks the system.

    Raises:
        MemoryLimitError: with the number of bytes, and the smaller form to use.
    """
    if limit is not None and limit <= 0:
        raise InputError("limit of check_memory", limit, "be > 0", "it is a number of bytes")
    needed, allowed = predict_bytes(kind, shapes), available_bytes() if limit is None else limit
    if needed > allowed:
        shape = ", ".join(f"{name}={size}" for name, size in shapes.items())
        raise MemoryLimitError(
            f"the {kind} program with {shape} needs about {needed:,} bytes ({needed / 2**30:.1f} GiB) and "
            f"{allowed:,} are available: {_ADVICE[kind]}."
        )
    return needed


def _system_bytes() -> int:
    """MemAvailable where the system tells it, else all physical memory."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    sizes = {name: fields.split()[0] for name, _, fields in (line.partition(":") for line in lines)}
    return int(sizes["MemAvailable"]) * 1024


def _group_bytes(root: Path) -> int | None:
    """What a control group (version 2) leaves, None where it sets no limit."""
    try:
        maximum, current = (
            (root / name).read_text(encoding="ascii").strip() for name in ("memory.max", "memory.current")
        )
    except OSError:
        return None
    return None if maximum == "max" else max(int(maximum) - int(current), 0)
