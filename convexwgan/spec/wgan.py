"""The meaning of ``+``: discriminator, generator and regulariser, in any order, make one WGAN."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from convexwgan.errors import InputError
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.generator import Generator
from convexwgan.spec.regularizer import Regularizer

Part = Discriminator | Generator | Regularizer


@dataclass(frozen=True, eq=False)
class WGAN:
    """A composed WGAN; missing parts are None until they are added, the regulariser defaults to ``output(1.0)``.

    >>> print(Discriminator.quadratic(beta=2.0) + Generator.linear())
    min (1/2)‖ZW‖_F²  s.t.  ‖XᵀX − (ZW)ᵀZW‖₂ ≤ 2
    """

    discriminator: Discriminator | None = None
    generator: Generator | None = None
    chosen_regularizer: Regularizer | None = None

    def __post_init__(self) -> None:
        if self.generator is not None and self.chosen_regularizer is not None:
            _check_target(self.generator, self.chosen_regularizer)

    @property
    def regularizer(self) -> Regularizer:
        """The regulariser given, or the default (1/2)‖G‖_F²."""
        return self.chosen_regularizer or Regularizer.output(1.0)

    @property
    def is_complete(self) -> bool:
        """Whether both players are there."""
        return self.discriminator is not None and self.generator is not None

    @property
    def players(self) -> tuple[Discriminator, Generator]:
        """(discriminator, generator) of a complete WGAN."""
        if self.discriminator is None or self.generator is None:
            missing = "discriminator" if self.discriminator is None else "generator"
            raise InputError(
                "wgan", self, f"have a {missing}", f"add one with +, as … + {missing.capitalize()}.linear(…)"
            )
        return self.discriminator, self.generator

    def __eq__(self, other: object) -> bool:
        # The default left out and the default written are the same game.
        return isinstance(other, WGAN) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[Discriminator | None, Generator | None, Regularizer]:
        return self.discriminator, self.generator, self.regularizer

    def __add__(self, other: Any) -> WGAN:
        return compose(self, other)

    def __radd__(self, other: Any) -> WGAN:
        return compose_right(other, self)

    def __repr__(self) -> str:
        parts = [part for part in (self.discriminator, self.generator, self.chosen_regularizer) if part is not None]
        return " + ".join(map(repr, parts)) or "WGAN()"

    def __str__(self) -> str:
        if not self.is_complete:
            return "\n".join(
                str(part) for part in (self.discriminator, self.generator, self.chosen_regularizer) if part is not None
            )
        discriminator, generator = self.players
        cost = self._cost_text(generator)
        distance = _distance_text(discriminator, generator.output_text)
        if discriminator.norm_bound:
            text = f"min {cost} + {distance}"
            rules = []
        else:
            text = f"min {cost}"
            rules = [f"{distance} ≤ {discriminator.beta_text}"]
        if discriminator.skip:
            rules.append(f"Xᵀ1 = ({generator.output_text})ᵀ1" if generator.kind != "free" else "Xᵀ1 = Gᵀ1")
        return text + ("  s.t.  " + ",  ".join(rules) if rules else "")

    def _cost_text(self, generator: Generator) -> str:
        regularizer = self.regularizer
        if regularizer.of == "output":
            return regularizer.text(generator.output_text)
        if generator.kind == "relu" and regularizer.kind == "weights":
            return f"({regularizer.strength:g}/2)(‖W₁‖_F² + ‖W₂‖_F²)"
        return regularizer.text("W̃" if generator.kind == "polynomial" else "W")

    def _repr_latex_(self) -> str:
        body = str(self).replace("\n", r" \\ ")
        for plain, tex in _LATEX:
            body = body.replace(plain, tex)
        return f"${body}$"


# Longest first: pieces of the printed formula and their TeX.
_LATEX = (
    ("‖_F²", r"\|_F^2 "), ("‖_∞", r"\|_\infty "), ("‖₂", r"\|_2 "), ("‖_", r"\|_"), ("‖", r"\|"),
    ("XᵀX", r"X^\top X"), ("ᵀ", r"^\top "), ("σ²_", r"\sigma^2_"), ("σ", r"\sigma "), ("Z̃W̃", r"\tilde Z\tilde W"),
    ("W̃", r"\tilde W"), ("W₁", "W_1"), ("W₂", "W_2"), ("(t)₊", "(t)_+"), ("₊", "_+"), ("Σ", r"\sum "), ("≤", r"\le "),
    ("−", "-"), ("max_u", r"\max_{\|u\|_2\le 1}"), ("min ", r"\min\ "), ("s.t.", r"\ \text{s.t.}\ "), ("ν", r"\nu "),
    ("·", r"\cdot "), ("²", "^2"),
)  # fmt: skip


def compose(left: Part | WGAN, right: Any) -> WGAN:
    """``left + right``: parts in any order; two of a kind are an error that names both."""
    whole = left if isinstance(left, WGAN) else _add_part(WGAN(), left)
    if isinstance(right, WGAN):
        for part in (right.discriminator, right.generator, right.chosen_regularizer):
            whole = whole if part is None else _add_part(whole, part)
        return whole
    return _add_part(whole, right)


def compose_right(left: Any, right: Part | WGAN) -> WGAN:
    """``left + right`` where ``left`` knows nothing of WGANs: only the 0 that ``sum`` starts from will do.

    >>> sum([Discriminator.linear(beta=1.0), Generator.free()])
    Discriminator.linear(beta=1.0) + Generator.free()
    """
    if isinstance(left, int) and not isinstance(left, bool) and left == 0:
        return compose(WGAN(), right)
    return compose(_add_part(WGAN(), left), right)


def _add_part(whole: WGAN, part: Any) -> WGAN:
    for kind, slot in ((Discriminator, "discriminator"), (Generator, "generator"), (Regularizer, "chosen_regularizer")):
        if isinstance(part, kind):
            present = getattr(whole, slot)
            if present is not None:
                name = kind.__name__.lower()
                raise InputError(
                    f"second {name}",
                    f"{part!r}, after {present!r}",
                    "not be added",
                    f"a WGAN has one {name}; leave one out",
                )
            change: dict[str, Any] = {slot: part}
            return replace(whole, **change)
    raise InputError(
        "summand",
        part,
        "be a Discriminator, Generator or Regularizer",
        "compose as Discriminator.quadratic(beta=2.0) + Generator.linear()",
    )


def _check_target(generator: Generator, regularizer: Regularizer) -> None:
    if regularizer.of == "weights" and not generator.has_weights:
        raise InputError(
            f"{regularizer!r} with {generator!r}",
            "a regulariser of weights",
            "act on the output",
            "this generator has no weights; use Regularizer.output(…) or of='output'",
        )


def _distance_text(discriminator: Discriminator, output: str) -> str:
    body = output if len(output) == 1 else f"({output})"
    if discriminator.kind == "linear":
        return f"‖Xᵀ1 − {body}ᵀ1‖₂"
    if discriminator.kind == "quadratic":
        return f"‖XᵀX − {body}ᵀ{output}‖₂"
    bias = "+1b" if discriminator.bias else ""
    return f"max_u |1ᵀσ(Xu{bias}) − 1ᵀσ({output}u{bias})|"
