"""Limits of a run: iterations, seconds, a callback that may stop it; each round becomes a line of the history."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from convexwgan.errors import InputError

Callback = Callable[[dict[str, Any]], object]


@dataclass
class Watch:
    """Counts rounds and seconds, keeps the history, and says why to stop."""

    max_iter: int | None
    time_limit: float | None
    callback: Callback | None
    started: float = field(default_factory=time.perf_counter)
    history: list[dict[str, Any]] = field(default_factory=list)
    stopped: str | None = None

    def __post_init__(self) -> None:
        if self.max_iter is not None and self.max_iter < 1:
            raise InputError("max_iter", self.max_iter, "be >= 1", "it counts rounds of column generation")
        if self.time_limit is not None and not self.time_limit > 0:
            raise InputError("time_limit", self.time_limit, "be > 0", "it is a number of seconds")

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.perf_counter() - self.started

    def record(self, **line: Any) -> None:
        """Append a round to the history and tell the callback; a callback that returns True stops the run."""
        entry = {"iteration": len(self.history), **line, "seconds": self.seconds}
        self.history.append(entry)
        if self.callback is not None and self.callback(dict(entry)) is True:
            self.stopped = "callback"

    @property
    def is_over(self) -> bool:
        """Whether a limit is reached (``stopped`` then says which)."""
        if self.stopped is None and self.max_iter is not None and len(self.history) >= self.max_iter:
            self.stopped = "max_iter"
        if self.stopped is None and self.time_limit is not None and self.seconds >= self.time_limit:
            self.stopped = "time_limit"
        return self.stopped is not None
