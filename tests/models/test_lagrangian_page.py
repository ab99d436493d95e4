"""The examples of docs/lagrangian.md run and print what the page says."""

from __future__ import annotations

import doctest
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "lagrangian.md"


def test_examples_of_the_lagrangian_page_print_what_they_say() -> None:
    outcome = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8", optionflags=doctest.ELLIPSIS)
    assert outcome.failed == 0
    assert outcome.attempted > 10
