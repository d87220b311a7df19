"""For authors of engines: the conformance suite that every engine passes, MiniDB's own included."""

from minidb.testing.places import fresh_engines
from minidb.testing.suite import ENGINE_CHECKS, check_engine

__all__ = ["ENGINE_CHECKS", "check_engine", "fresh_engines"]
