"""A WGAN as plain data: the way back gives an equal one, through JSON and through TOML."""

from __future__ import annotations

import json
import math
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convexwgan.errors import FileFormatError, InputError
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.generator import Generator
from convexwgan.spec.regularizer import Regularizer
from convexwgan.spec.serialize import dump, wgan_from_dict, wgan_to_dict
from convexwgan.spec.wgan import WGAN

positive = st.floats(min_value=1e-100, max_value=1e100)
coefficient = st.floats(min_value=0.001, max_value=1e6)
regularisation = st.one_of(positive.map(lambda beta: {"beta": beta}), st.just({"norm_bound": True}))
discriminators = st.one_of(
    regularisation.map(lambda r: Discriminator.linear(**r)),
    st.tuples(st.booleans(), regularisation).map(lambda t: Discriminator.quadratic(skip=t[0], **t[1])),
    st.integers(1, 10**6).map(lambda k: Discriminator.quadratic(components=k)),
    st.tuples(coefficient, regularisation).map(lambda t: Discriminator.polynomial(t[0], -t[0], 0, **t[1])),
    st.tuples(st.booleans(), regularisation).map(lambda t: Discriminator.relu(bias=t[0], **t[1])),
)
generators = st.one_of(
    st.just(Generator.linear()),
    coefficient.map(lambda a: Generator.polynomial(a, 0, -a)),
    st.builds(Generator.relu, width=st.one_of(st.none(), st.integers(1, 99)), bias=st.booleans()),
    st.lists(st.tuples(coefficient, coefficient), min_size=1, max_size=3).map(lambda L: Generator.relu(factor=L)),
)
regularizers = st.one_of(
    st.none(),
    positive.map(Regularizer.output),
    positive.map(Regularizer.weights),
    st.builds(
        Regularizer.norm,
        st.one_of(st.floats(1, 100), st.just(math.inf)),
        positive,
        of=st.sampled_from(["output", "weights"]),
    ),
)


@given(discriminators, generators, regularizers)
def test_every_wgan_comes_back_equal_from_dict_json_and_toml(
    discriminator: Discriminator, generator: Generator, regularizer: Regularizer | None
) -> None:
    wgan = WGAN(discriminator, generator, regularizer)
    table = wgan_to_dict(wgan)
    assert wgan_from_dict(table) == wgan
    assert wgan_from_dict(json.loads(json.dumps(table, allow_nan=False))) == wgan
    assert wgan_from_dict(tomllib.loads(dump(wgan))["architecture"]) == wgan


def test_free_and_distribution_come_back_too() -> None:
    for generator in (Generator.free(), Generator.distribution()):
        wgan = Discriminator.linear(beta=1.0) + generator
        assert wgan_from_dict(wgan_to_dict(wgan)) == wgan


def test_only_what_differs_from_the_defaults_is_written() -> None:
    wgan = Discriminator.quadratic(beta=2.0) + Generator.relu() + Regularizer.norm(math.inf)
    assert wgan_to_dict(wgan) == {
        "discriminator": {"kind": "quadratic", "beta": 2.0},
        "generator": {"kind": "relu"},
        "regularizer": {"kind": "norm", "strength": 1.0, "p": "inf", "of": "output"},
    }


def test_custom_functions_are_not_saved() -> None:
    wgan = Discriminator.linear(beta=1.0) + Generator.free() + Regularizer.custom(abs, of="output")
    with pytest.raises(InputError, match="custom functions are not saved"):
        wgan_to_dict(wgan)
    with pytest.raises(FileFormatError, match="custom functions are not saved"):
        wgan_from_dict(
            {
                "discriminator": {"kind": "linear", "beta": 1.0},
                "generator": {"kind": "free"},
                "regularizer": {"kind": "custom"},
            }
        )


def test_incomplete_wgan_is_not_written() -> None:
    with pytest.raises(InputError, match="have a generator"):
        wgan_to_dict(WGAN(Discriminator.linear(beta=1.0)))


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "unknown part": ({"critic": {}}, r"architecture\.critic: unknown key"),
    "unknown key": ({"discriminator": {"kind": "linear", "betta": 1.0}}, r"discriminator\.betta: unknown key.*beta\?"),
    "no kind": ({"discriminator": {"beta": 1.0}}, r"discriminator\.kind: missing key"),
    "unknown kind": ({"discriminator": {"kind": "cubic", "beta": 1.0}}, "architecture.discriminator: kind"),
    "beta as text": (
        {"discriminator": {"kind": "linear", "beta": "1"}},
        r"discriminator\.beta = '1' must hold numbers",
    ),
    "beta too small": ({"discriminator": {"kind": "linear", "beta": -1.0}}, "-1.0 must be > 0"),
    "no regularisation": ({"discriminator": {"kind": "linear"}}, "exactly one"),
    "two coefficients": (
        {"discriminator": {"kind": "polynomial", "beta": 1.0, "coefficients": [1.0, 2.0]}},
        r"discriminator\.coefficients.*three numbers",
    ),
    "generator as text": ({"generator": "linear"}, r"architecture\.generator = 'linear' must be a table"),
    "width as float": ({"generator": {"kind": "relu", "width": 2.0}}, r"generator\.width = 2\.0 must be a whole"),
    "width of linear": ({"generator": {"kind": "linear", "width": 2}}, r"belong to Generator\.relu"),
    "factor": ({"generator": {"kind": "relu", "factor": "best"}}, "architecture.generator: factor"),
    "ragged factor": ({"generator": {"kind": "relu", "factor": [[1.0], [1.0, 2.0]]}}, r"generator\.factor"),
    "regulariser kind": ({"regularizer": {"kind": "ouput"}}, r"regularizer\.kind = 'ouput'.*did you mean output"),
    "p of output": ({"regularizer": {"kind": "output", "p": 1.0}}, r"regularizer\.p: unknown key"),
    "p missing": ({"regularizer": {"kind": "norm"}}, r"regularizer\.p: missing key"),
    "p too small": ({"regularizer": {"kind": "norm", "p": 0.5}}, r"architecture\.regularizer: p of"),
    "of": ({"regularizer": {"kind": "norm", "p": 1.0, "of": "W"}}, r"regularizer\.of = 'W' must be one of output"),
    "no weights": (
        {"generator": {"kind": "free"}, "regularizer": {"kind": "weights"}},
        r"architecture\.regularizer: .*no weights",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_table_is_an_error_with_the_path_of_the_key(name: str) -> None:
    change, message = BROKEN[name]
    whole = {"discriminator": {"kind": "linear", "beta": 1.0}, "generator": {"kind": "linear"}}
    with pytest.raises(FileFormatError, match=message):
        wgan_from_dict(whole | change)
