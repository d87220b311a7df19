"""The conformance suite: every check of an engine, one function each.

    from minidb.testing import check_engine

    check_engine(lambda: MyEngine(make_a_fresh_folder()))

``make_engine`` returns a new and empty engine each time. Test runners can take the checks from ``ENGINE_CHECKS``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from minidb.engines.port import Engine
from minidb.testing.conformance import CONTRACT_CHECKS
from minidb.testing.isolation import ISOLATION_CHECKS
from minidb.testing.joining import JOINING_CHECKS
from minidb.testing.newest import NEWEST_CHECKS

ENGINE_CHECKS: Final[tuple[Callable[[Engine], None], ...]] = (
    *CONTRACT_CHECKS,
    *JOINING_CHECKS,
    *NEWEST_CHECKS,
    *ISOLATION_CHECKS,
)
"""Every guarantee. A function takes a new and empty engine, which its caller closes."""


def check_engine(make_engine: Callable[[], Engine]) -> None:
    """Run every check on an engine of its own. Raises ``AssertionError`` naming the check that failed."""
    for check in ENGINE_CHECKS:
        engine = make_engine()
        try:
            check(engine)
        except AssertionError as error:
            raise AssertionError(f"{check.__name__}: {error}") from error
        finally:
            engine.close()
