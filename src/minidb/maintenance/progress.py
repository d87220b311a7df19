"""How a long job tells how far it has come, and is stopped."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], object]
"""Called with how much is done and how much there is in all; the unit is the job's. What it raises stops the job."""
