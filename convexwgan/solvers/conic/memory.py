"""How much memory a conic program needs, known before it is built."""

from __future__ import annotations

import os
from typing import Literal

from convexwgan.errors import MemoryLimitError

Kind = Literal["mean", "covariance", "polynomial"]
