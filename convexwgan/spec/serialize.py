"""A WGAN as plain data and back: what problem files, saved solutions and the command line write."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, cast

from convexwgan.errors import FileFormatError, InputError
from convexwgan.spec.discriminator import Discriminator, DiscriminatorKind
from convexwgan.spec.fields import Fields, located
from convexwgan.spec.generator import Generator, GeneratorKind
from convexwgan.spec.regularizer import Regularizer, Target
from convexwgan.spec.wgan import WGAN

_DISCRIMINATOR_KEYS = ("kind", "beta", "norm_bound", "components", "skip", "bias", "coefficients")
_GENERATOR_KEYS = ("kind", "coefficients", "width", "bias", "factor")
_REGULARIZER_KEYS = {
    "output": ("kind", "strength"),
    "weights": ("kind", "strength"),
    "norm": ("kind", "strength", "p", "of"),
}


def wgan_to_dict(wgan: WGAN) -> dict[str, Any]:
    """A WGAN as nested dicts of texts, numbers, flags and lists: JSON and TOML can hold it.

    Only what differs from the defaults is written, so that the way back gives an equal WGAN.

    Raises:
        InputError: a player is missing, or the regulariser is custom (a function is not data).

    >>> wgan_to_dict(Discriminator.quadratic(beta=2.0) + Generator.linear())
    {'discriminator': {'kind': 'quadratic', 'beta': 2.0}, 'generator': {'kind': 'linear'}}
    """
    discriminator, generator = wgan.players
    whole = {
        "discriminator": _changed(discriminator, _DISCRIMINATOR_KEYS, Discriminator.__dataclass_fields__),
        "generator": _changed(generator, _GENERATOR_KEYS, Generator.__dataclass_fields__),
    }
    if wgan.chosen_regularizer is not None:
        whole["regularizer"] = _regularizer_to_dict(wgan.chosen_regularizer)
    return whole


def wgan_from_dict(table: Mapping[str, Any], path: str = "architecture") -> WGAN:
    """The WGAN that ``wgan_to_dict`` wrote, or that a problem file's [architecture] describes.

    Args:
        table: discriminator, generator and, unless it is the default (1/2)‖G‖_F², regularizer.
        path: where the table stands in its file, for messages.

    Raises:
        FileFormatError: an unknown key, a wrong type, or a value out of its range, with the key's path.

    >>> table = {"discriminator": {"kind": "linear", "norm_bound": True}, "generator": {"kind": "free"}}
    >>> wgan_from_dict(table)
    Discriminator.linear(norm_bound=True) + Generator.free()
    """
    fields = Fields(table, path, ("discriminator", "generator", "regularizer"))
    wgan = _discriminator(fields) + _generator(fields)
    if "regularizer" not in fields:
        return wgan
    regularizer = _regularizer(fields)
    with located(fields.at("regularizer")):
        return wgan + regularizer


def dump(wgan: WGAN) -> str:
    """The [architecture] table of a problem file that describes ``wgan``.

    >>> print(dump(Discriminator.quadratic(beta=2.0, skip=True) + Generator.linear()))
    [architecture]
    discriminator = { kind = "quadratic", beta = 2.0, skip = true }
    generator = { kind = "linear" }
    """
    lines = ["[architecture]"]
    for part, table in wgan_to_dict(wgan).items():
        inside = ", ".join(f"{key} = {_toml(value)}" for key, value in table.items())
        lines.append(f"{part} = {{ {inside} }}")
    return "\n".join(lines)


def _changed(part: Any, keys: tuple[str, ...], defaults: Mapping[str, Any]) -> dict[str, Any]:
    changed = {key: getattr(part, key) for key in keys if getattr(part, key) != defaults[key].default}
    return {key: _as_list(value) for key, value in changed.items()}


def _as_list(value: Any) -> Any:
    return [_as_list(entry) for entry in value] if isinstance(value, tuple) else value


def _regularizer_to_dict(regularizer: Regularizer) -> dict[str, Any]:
    if regularizer.kind == "custom":
        remedy = "custom functions are not saved; use Regularizer.output, weights or norm"
        raise InputError("regularizer", regularizer, "not be custom", remedy)
    table: dict[str, Any] = {"kind": regularizer.kind, "strength": regularizer.strength}
    if regularizer.kind == "norm":
        # JSON has no infinity; TOML has, and the reader takes both.
        table["p"] = "inf" if math.isinf(regularizer.p) else regularizer.p
        table["of"] = regularizer.of
    return table


def _discriminator(fields: Fields) -> Discriminator:
    part = fields.sub("discriminator", _DISCRIMINATOR_KEYS)
    with located(part.path):
        return Discriminator(
            cast(DiscriminatorKind, part.text("kind")),
            beta=part.number_or_none("beta"),
            norm_bound=part.flag("norm_bound"),
            components=part.whole_or_none("components", 1),
            skip=part.flag("skip"),
            bias=part.flag("bias"),
            coefficients=_triple(part),
        )


def _generator(fields: Fields) -> Generator:
    part = fields.sub("generator", _GENERATOR_KEYS)
    is_name = isinstance(part.table.get("factor", "latent"), str)
    with located(part.path):
        return Generator(
            cast(GeneratorKind, part.text("kind")),
            coefficients=_triple(part),
            width=part.whole_or_none("width", 1),
            bias=part.flag("bias"),
            factor=part.text("factor", "latent") if is_name else part.matrix("factor"),
        )


def _regularizer(fields: Fields) -> Regularizer:
    every_key = fields.sub("regularizer", _REGULARIZER_KEYS["norm"])
    if every_key.text("kind") == "custom":
        raise FileFormatError(f"{every_key.at('kind')} = 'custom': custom functions are not saved in files")
    kind = every_key.choice("kind", tuple(_REGULARIZER_KEYS))
    part = fields.sub("regularizer", _REGULARIZER_KEYS[kind])
    strength = part.number("strength") if "strength" in part else 1.0
    with located(part.path):
        if kind == "norm":
            p = math.inf if part.table.get("p") == "inf" else part.number("p")
            of = cast(Target, part.choice("of", ("output", "weights"), "output"))
            return Regularizer.norm(p, strength, of=of)
        return Regularizer.output(strength) if kind == "output" else Regularizer.weights(strength)


def _triple(part: Fields) -> tuple[float, float, float] | None:
    if "coefficients" not in part:
        return None
    match part.numbers("coefficients"):
        case (a, b, c):
            return a, b, c
    raise part.wrong("coefficients", "be three numbers [a, b, c]: the activation is at² + bt + c")


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    # A text in JSON's quotes and escapes is one in TOML too; so are its numbers and flags.
    return json.dumps(value, ensure_ascii=False)
