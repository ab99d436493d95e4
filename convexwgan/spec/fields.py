"""Tables of a file (TOML, JSON) read key by key: each error names the key's path and what would be right."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from convexwgan.errors import FileFormatError, InputError, describe_value


@dataclass(frozen=True)
class Fields:
    """A table whose keys are known in advance; ``path`` is where it stands in its file, "" at the top.

    Raises:
        FileFormatError: at once for an unknown key; by the readers for a missing key or a wrong type.

    >>> Fields({"betta": 1}, "architecture.discriminator", ("kind", "beta"))
    Traceback (most recent call last):
    ...
    convexwgan.errors.FileFormatError: architecture.discriminator.betta: unknown key; allowed: kind, beta; \
did you mean beta?
    """

    table: Mapping[str, Any]
    path: str
    allowed: Collection[str]

    def __post_init__(self) -> None:
        if not isinstance(self.table, Mapping):
            raise FileFormatError(f"{self.path} = {describe_value(self.table)} must be a table of keys")
        for key in self.table:
            if key not in self.allowed:
                allowed = ", ".join(self.allowed)
                guess = suggestion(str(key), self.allowed)
                raise FileFormatError(f"{self.at(key)}: unknown key; allowed: {allowed}{guess}")

    def at(self, key: object) -> str:
        """The path of ``key`` in the file."""
        return f"{self.path}.{key}" if self.path else str(key)

    def __contains__(self, key: str) -> bool:
        return key in self.table

    def sub(self, key: str, allowed: Collection[str]) -> Fields:
        """The table under ``key``."""
        return Fields(self._required(key), self.at(key), allowed)

    def text(self, key: str, default: str | None = None) -> str:
        """A text; required when there is no default."""
        value = self._required(key) if default is None else self.table.get(key, default)
        if not isinstance(value, str):
            raise self.wrong(key, 'be a text in quotes, as "linear"')
        return value

    def choice(self, key: str, choices: Collection[str], default: str | None = None) -> str:
        """One of a few texts."""
        value = self.text(key, default)
        if value not in choices:
            raise self.wrong(key, f"be one of {', '.join(choices)}{suggestion(value, choices)}")
        return value

    def flag(self, key: str, default: bool = False) -> bool:
        """true or false."""
        value = self.table.get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "be true or false, without quotes")
        return value

    def whole(self, key: str, least: int) -> int:
        """A required whole number >= ``least``."""
        value = self._required(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise self.wrong(key, f"be a whole number >= {least}")
        return value

    def whole_or_none(self, key: str, least: int) -> int | None:
        """A whole number >= ``least``, None when the key is not there."""
        return self.whole(key, least) if key in self.table else None

    def number(self, key: str) -> float:
        """A required number; infinity is one, NaN is not."""
        return self._number(key, self._required(key))

    def number_or_none(self, key: str) -> float | None:
        """A number, None when the key is not there."""
        return self.number(key) if key in self.table else None

    def numbers(self, key: str) -> tuple[float, ...]:
        """A required list of numbers."""
        return tuple(self._number(key, entry) for entry in self._list(key, self._required(key)))

    def matrix(self, key: str) -> tuple[tuple[float, ...], ...]:
        """A required list of rows of equal length, at least one number."""
        rows = tuple(
            tuple(self._number(key, entry) for entry in self._list(key, row))
            for row in self._list(key, self._required(key))
        )
        if not rows or not rows[0] or len({len(row) for row in rows}) > 1:
            raise self.wrong(key, "be a list of rows of equal length, as [[-1.0], [1.0]]")
        return rows

    def wrong(self, key: str, must: str) -> FileFormatError:
        """The error for a value that the key may not have."""
        return FileFormatError(f"{self.at(key)} = {describe_value(self.table.get(key))} must {must}")

    def _required(self, key: str) -> Any:
        if key not in self.table:
            raise FileFormatError(f"{self.at(key)}: missing key; give it a value")
        return self.table[key]

    def _list(self, key: str, value: Any) -> list[Any]:
        if not isinstance(value, (list, tuple)):
            raise self.wrong(key, "be a list in brackets, one row inside the other where it is a table")
        return list(value)

    def _number(self, key: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.wrong(key, "hold numbers, without quotes")
        if (isinstance(value, int) and abs(value) >= 2**1023) or math.isnan(value):
            raise self.wrong(key, "hold numbers that a float64 can")
        return float(value)


@contextmanager
def located(path: str) -> Iterator[None]:
    """Errors of the values inside name the place in the file that they come from."""
    try:
        yield
    except InputError as error:
        raise FileFormatError(f"{path}: {error}") from error


def suggestion(word: str, words: Collection[str]) -> str:
    """The end of a message: the closest allowed word, or nothing.

    >>> suggestion("quadratik", ("linear", "quadratic"))
    '; did you mean quadratic?'
    """
    close = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""
