"""What a solver may hand to the judge: plain arrays and two numbers, none of them believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Weights = Any
"""An array of any library; the judge reads it as NumPy float64."""


class Claim(Protocol):
    """A claimed solution in the user's variables.

    weights: W (d_f, d_r), W̃ (D, d_r) for a polynomial generator, G (n_f, d_r) for a free one, or None.
    neurons_u (k, d_r), neurons_v (k,), skip (d_r,): D(x) = Σ σ(xᵀu_j)v_j + xᵀskip, a dual point; neurons_b (k,):
    biases, D(x) = Σ σ(xᵀu_j + b_j)v_j, where the neurons have them.
    hidden: (W₁, W₂) of a ReLU network in place of weights; its output is computed from the problem's own noise.
    output_multiplier: H (n_f, d_r) with ZᵀH = z̄yᵀ, for a norm or custom cost of the output.
    tree: tree_basis, tree_nodes, tree_neurons of a branch and bound, see ``sector_tree``.
    value, bound: what the claimant says that the generator attains, and that no generator can beat.
    """

    @property
    def weights(self) -> Weights | None: ...
    @property
    def neurons_u(self) -> Weights | None: ...
    @property
    def neurons_v(self) -> Weights | None: ...
    @property
    def neurons_b(self) -> Weights | None: ...
    @property
    def skip(self) -> Weights | None: ...
    @property
    def output_multiplier(self) -> Weights | None: ...
    @property
    def hidden(self) -> tuple[Weights, Weights] | None: ...
    @property
    def tree(self) -> Mapping[str, Weights] | None: ...
    @property
    def value(self) -> float | None: ...
    @property
    def bound(self) -> float | None: ...


@dataclass(frozen=True, eq=False)
class PlainClaim:
    """The plainest ``Claim``."""

    weights: Weights | None = None
    neurons_u: Weights | None = None
    neurons_v: Weights | None = None
    skip: Weights | None = None
    output_multiplier: Weights | None = None
    value: float | None = None
    bound: float | None = None
    hidden: tuple[Weights, Weights] | None = None
    neurons_b: Weights | None = None
    tree: Mapping[str, Weights] | None = None


TREE = ("tree_basis", "tree_nodes", "tree_neurons")
"""The arrays of a branch and bound, under the names that they have in ``solution.dual``."""


def tree_of(arrays: Mapping[str, Weights]) -> dict[str, Weights] | None:
    """The arrays of a tree among others, None where none is there.

    >>> tree_of({"u": 0}) is None
    True
    """
    return {name: arrays[name] for name in TREE if name in arrays} or None
