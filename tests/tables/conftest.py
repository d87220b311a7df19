"""Databases as in ``tests.api``: what a catalog stores is seen best through the calls that store it."""

from __future__ import annotations

from tests.api.conftest import database, location, reopen

__all__ = ["database", "location", "reopen"]
