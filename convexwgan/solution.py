"""Solution: what the solve returns, frozen, with the certificate that backs every number in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from convexwgan.arrays import Float64, to_numpy64
from convexwgan.certificates.certificate import Certificate, Status
from convexwgan.certificates.claim import PlainClaim, tree_of
from convexwgan.errors import InputError
from convexwgan.fitted import FittedDiscriminator, FittedGenerator
from convexwgan.fitted_distribution import FittedDistribution
from convexwgan.spec.wgan import WGAN

__all__ = ["Solution", "Stats", "Status"]


@dataclass(frozen=True)
class Stats:
    """What happened during a solve; times in seconds.

    ``extra`` holds versions, threads, the seed of drawn noise, and what the method adds (components, solver, …).
    """

    method: str
    times: dict[str, float] = field(default_factory=dict)
    stopped: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """The whole solve."""
        return sum(self.times.values())


@dataclass(frozen=True, eq=False)
class Solution:
    """A generator with a verified lower and upper bound.

    Attributes:
        wgan: the specification that was solved (its β_d included).
        status: earned by ``certificate``, never by a solver's word.
        value: what the generator attains; inf when infeasible, and for a custom regulariser without ``value``.
        bound: what no generator can beat.
        certificate: the proof, recomputed from spec and data.
        generator: None when infeasible or failed.
        discriminator: the optimal adversary where strong duality holds, else None.
        dual: named arrays sufficient for the lower bound or the infeasibility.
        stats: times, versions, why it stopped.
        realization: the weights' own Solution where a ReLU generator's weights are a second problem, else None.
        tol: the tolerance that the status refers to.
        fingerprint: SHA-256 of the data that the problem was solved on.
    """

    wgan: WGAN
    status: Status
    value: float
    bound: float
    certificate: Certificate
    generator: FittedGenerator | None
    discriminator: FittedDiscriminator | None
    dual: dict[str, Float64]
    stats: Stats
    tol: float
    normalize: Literal["sum", "mean"] = "sum"
    realization: Solution | None = None
    fingerprint: str | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        wgan: WGAN,
        certificate: Certificate,
        generator: FittedGenerator | None,
        stats: Stats,
        dual: dict[str, Float64],
        *,
        discriminator: FittedDiscriminator | None = None,
        normalize: Literal["sum", "mean"] = "sum",
        fingerprint: str | None = None,
        realization: Solution | None = None,
    ) -> Solution:
        """The solution that a certificate describes: status, value, bound and tolerance are the certificate's own."""
        return cls(
            wgan=wgan,
            status=certificate.status,
            value=certificate.upper,
            bound=certificate.lower,
            certificate=certificate,
            generator=generator,
            discriminator=discriminator,
            dual=dual,
            stats=stats,
            tol=certificate.tol,
            normalize=normalize,
            realization=realization,
            fingerprint=fingerprint,
        )

    @property
    def gap(self) -> float:
        """value − bound, in units of the objective."""
        return self.certificate.gap

    @property
    def relative_gap(self) -> float:
        """(upper − lower)/max(|upper|, |lower|, 1e-6·scale): invariant under X → cX with matching β_d."""
        return self.certificate.relative_gap

    @property
    def sensitivity(self) -> float:
        """d value/d β_d = −Σ_j |v_j| under weight decay, where a dual attains the value.

        Raises:
            InputError: norm bound (there is no β_d), or no optimal discriminator exists.
        """
        discriminator = self.wgan.players[0]
        if discriminator.norm_bound or self.discriminator is None:
            raise InputError(
                "sensitivity",
                None,
                "be asked under weight decay where a dual attains the value",
                "difference the values of two solves instead",
            )
        return -self.discriminator.total_weight

    @property
    def claim(self) -> PlainClaim:
        """The plain arrays and numbers that ``verify`` judges."""
        generator = self.generator
        infeasible = generator is None
        weights = None if generator is None else _host(generator.weights)
        hidden = None
        if isinstance(generator, FittedDistribution):
            weights = np.column_stack([_host(generator.atoms), _host(generator.weights)])
        if generator is not None and generator.first is not None:
            weights, hidden = None, (_host(generator.first), weights)
        return PlainClaim(
            weights=weights,
            neurons_u=self.dual.get("u"),
            neurons_v=self.dual.get("v"),
            neurons_b=self.dual.get("b"),
            skip=self.dual.get("skip"),
            output_multiplier=self.dual.get("output_multiplier"),
            value=None if infeasible else self.value,
            bound=None if infeasible else self.bound,
            hidden=hidden,
            tree=tree_of(self.dual),
        )

    def save(self, path: str | Path) -> Path:
        """Write spec, primal, dual and the data's SHA-256 as safetensors; a file is replaced whole or not at all.

        Raises:
            InputError: the folder does not exist, or the path is a folder.
        """
        from convexwgan.storage import save_solution

        return save_solution(self, path)

    @staticmethod
    def load(path: str | Path) -> Solution:
        """A saved solution. Its status is UNVERIFIED until ``verify(problem, solution)`` has looked at it.

        Raises:
            FileFormatError: not a solution file, another version, or damaged.
        """
        from convexwgan.storage import load_solution

        return load_solution(path)

    def __str__(self) -> str:
        numbers = f"value {self.value:.8g}, bound {self.bound:.8g}, relative gap {self.relative_gap:.2g}"
        weights = ""
        if self.realization is not None:
            second = self.realization
            weights = f"; weights {second.status.name}: {second.value:.8g}, bound {second.bound:.8g}"
        return f"{self.status.name}: {numbers}{weights}  ({self.wgan!r})"


def _host(weights: Any) -> np.ndarray[Any, Any]:
    """Weights as NumPy on the host, their precision kept: certificates need to know a float32 from a float64."""
    array = to_numpy64(weights)
    return array.astype(np.float32) if "float32" in str(weights.dtype) else array
