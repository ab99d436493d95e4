"""What a progressive fit says while it runs: stage, pass, residual, time left."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self

logger = logging.getLogger("convexwgan")
_EXPECTED_PASSES = 12


@dataclass(frozen=True)
class FitProgress:
    """Where a fit stands.

    Attributes:
        stage, stages: 1, 2, …, and how many there are.
        side: pixels of this stage's images.
        step: "moments", "spectrum", "certificate" or "done".
        passes: passes over the data in this step. residual: estimated (dist − β_d)/β_d that remains; inf at first.
        seconds: since the fit began. remaining: a guess from the work that is left.
    """

    stage: int
    stages: int
    side: int
    step: Literal["moments", "spectrum", "certificate", "done"]
    passes: int
    residual: float
    seconds: float
    remaining: float

    def __str__(self) -> str:
        head = f"stage {self.stage}/{self.stages} ({self.side} px), {self.step}, pass {self.passes}"
        return f"{head}, residual {self.residual:.1e}, {self.seconds:.1f} s, about {self.remaining:.0f} s left"


Callback = Callable[[FitProgress], None]


class Reporter:
    """Tells the log, and a callback or a rich progress bar, how far a fit is; guesses the time left from the work."""

    def __init__(self, sides: tuple[int, ...], work: list[float], callback: Callback | Literal["bar"] | None) -> None:
        self.sides, self.work, self.callback = sides, work, callback
        self.began = time.perf_counter()
        self.bar: Any = None

    def __enter__(self) -> Self:
        if self.callback == "bar":
            from rich.progress import Progress

            self.bar = Progress()
            self.bar.start()
            self.task = self.bar.add_task("ProCoGAN", total=1.0)
        return self

    def __exit__(self, *reason: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def tell(
        self,
        stage: int,
        step: Literal["moments", "spectrum", "certificate", "done"],
        passes: int = 0,
        residual: float = float("inf"),
    ) -> None:
        """Stage counts from 0."""
        inside = {"moments": 0.0, "spectrum": min(0.75, 0.75 * passes / _EXPECTED_PASSES), "certificate": 0.8}
        part = sum(self.work[:stage]) + inside.get(step, 1.0) * self.work[stage]
        share = part / sum(self.work)
        seconds = time.perf_counter() - self.began
        left = seconds * (1.0 - share) / share if share > 0.0 else float("inf")
        news = FitProgress(
            stage + 1, len(self.sides), self.sides[stage], step, passes, residual, seconds, max(left, 0.0)
        )
        logger.info("%s", news)
        if self.bar is not None:
            self.bar.update(self.task, completed=share, description=str(news))
        elif callable(self.callback):
            self.callback(news)
