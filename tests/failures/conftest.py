"""Bad input: one family of exceptions, each with subject, value, range and remedy; never a traceback from below."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from convexwgan.errors import ConvexWGANError, InputError


def _refuses(error: pytest.ExceptionInfo[ConvexWGANError], *words: str) -> None:
    """The message is one line 'subject = value must range: remedy.' that names what it should."""
    message = str(error.value)
    assert isinstance(error.value, InputError)
    assert error.value.subject
    assert error.value.must
    assert len(error.value.remedy) > 5
    head, _, rest = message.partition(" must ")
    assert " = " in head
    assert ": " in rest
    assert rest.endswith(".")
    for word in words:
        assert word in message, message


@pytest.fixture
def refuses() -> Callable[..., None]:
    """A check that the message is one line of the promised form, naming the given words."""
    return _refuses
