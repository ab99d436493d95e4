"""Two ways to speak: tables for people, or one JSON document on stdout for machines."""

from __future__ import annotations

import json
import math
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 200
"""Characters of a line where nobody's terminal sets them: a pipe or a file."""


@dataclass(frozen=True)
class Output:
    """Where a command speaks. With ``as_json`` nothing but one document goes to stdout; messages go to stderr."""

    as_json: bool

    def document(self, document: dict[str, Any]) -> None:
        """The JSON document, in JSON mode; nothing otherwise."""
        if self.as_json:
            # Plain write: rich would wrap and colour it.
            sys.stdout.write(json.dumps(plain(document), ensure_ascii=False, indent=2, allow_nan=False) + "\n")

    def show(self, *parts: Any) -> None:
        """Texts and tables for people; nothing in JSON mode. Square brackets in texts are rich's markup."""
        if not self.as_json:
            self._console().print(*parts, sep="\n")

    def text(self, text: str) -> None:
        """A text as it stands, without markup and unwrapped."""
        if not self.as_json:
            self._console().print(text, markup=False, highlight=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """A message beside the result, to stderr."""
        sys.stderr.write(text + "\n")

    def error(self, kind: str, message: str, code: int) -> None:
        """Why the command ends: to stderr, and in JSON mode as the document too."""
        self.document({"error": {"type": kind, "message": message}, "exit_code": int(code)})
        self.note(f"error: {message}")

    @property
    def width(self) -> int:
        """Characters of a line: the terminal's, or ``PIPE_WIDTH``."""
        return shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPE_WIDTH

    def _console(self) -> Console:
        from rich.console import Console

        return Console(file=sys.stdout, width=self.width)


def plain(value: Any) -> Any:
    """``value`` in what JSON has: inf, −inf and nan become the texts "inf", "-inf" and "nan"; tuples become lists.

    >>> plain({"bound": float("-inf"), "shape": (2, 3)})
    {'bound': '-inf', 'shape': [2, 3]}
    """
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(entry) for entry in value]
    if isinstance(value, bool | str) or value is None:
        return value
    if hasattr(value, "item"):  # NumPy scalars
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value if isinstance(value, int | float) else str(value)
