"""Tables of files: each error names the key's path and what would be right."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from convexwgan.errors import FileFormatError, InputError
from convexwgan.spec.fields import Fields, located, suggestion

KEYS = ("kind", "beta", "seed", "skip", "rows")


def fields(**table: Any) -> Fields:
    return Fields(table, "part", KEYS)


def test_unknown_key_names_its_path_the_allowed_keys_and_the_closest() -> None:
    with pytest.raises(FileFormatError) as caught:
        Fields({"betta": 1.0}, "part", KEYS)
    assert str(caught.value) == ("part.betta: unknown key; allowed: kind, beta, seed, skip, rows; did you mean beta?")


def test_key_at_the_top_has_no_dot() -> None:
    assert Fields({}, "", KEYS).at("beta") == "beta"
    assert Fields({"part": {"kind": "x"}}, "", ("part",)).sub("part", KEYS).at("beta") == "part.beta"


@pytest.mark.parametrize("table", [3, "text", [1], None])
def test_value_where_a_table_belongs_is_an_error(table: Any) -> None:
    with pytest.raises(FileFormatError, match=r"part = .* must be a table"):
        Fields({"part": table}, "", ("part",)).sub("part", KEYS)


READERS: dict[str, tuple[str, Callable[[Fields], Any]]] = {
    "text": ("kind", lambda f: f.text("kind")),
    "choice": ("kind", lambda f: f.choice("kind", ("linear",))),
    "number": ("beta", lambda f: f.number("beta")),
    "numbers": ("beta", lambda f: f.numbers("beta")),
    "matrix": ("rows", lambda f: f.matrix("rows")),
    "whole": ("seed", lambda f: f.whole("seed", 0)),
}


@pytest.mark.parametrize("name", READERS)
def test_missing_required_key_is_an_error_with_its_path(name: str) -> None:
    key, read = READERS[name]
    with pytest.raises(FileFormatError, match=rf"part\.{key}: missing key"):
        read(fields())


WRONG = {
    "text": [1, True, ["linear"], {}],
    "choice": ["linera", 1],
    "number": ["1", True, math.nan, [1.0], 10**400],
    "numbers": [1.0, "12", [1.0, "2"], [True], [[1.0]]],
    "matrix": [[], [[]], [1.0], [[1.0], [1.0, 2.0]], [["a"]], "ab"],
    "whole": [1.0, -1, True, "3"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_wrong_type_is_an_error_with_path_and_value(name: str, value: Any) -> None:
    key, read = READERS[name]
    with pytest.raises(FileFormatError, match=rf"^part\.{key} = .* must "):
        read(fields(**{key: value}))


def test_flag_takes_only_true_and_false() -> None:
    assert fields(skip=True).flag("skip")
    assert not fields().flag("skip")
    with pytest.raises(FileFormatError, match=r"part\.skip = 1 must be true or false"):
        fields(skip=1).flag("skip")


def test_readers_return_plain_immutable_values() -> None:
    assert fields(beta=[1, 2.5]).numbers("beta") == (1.0, 2.5)
    assert fields(rows=[[1, 2], [3, 4]]).matrix("rows") == ((1.0, 2.0), (3.0, 4.0))
    assert fields(beta=math.inf).number("beta") == math.inf
    assert fields().number_or_none("beta") is None
    assert fields().whole_or_none("seed", 0) is None
    assert fields().text("kind", "linear") == "linear"


def test_located_puts_the_place_before_the_error_of_the_value() -> None:
    with pytest.raises(FileFormatError, match=r"^part: beta = -1 must be > 0: remedy\.$"), located("part"):
        raise InputError("beta", -1, "be > 0", "remedy")


def test_suggestion_is_silent_when_nothing_is_close() -> None:
    assert suggestion("xyz", ("linear", "quadratic")) == ""
