"""Running a body again after a conflict.

On a file writers wait for one another, and a conflict arises only from a commit that found no room. On an engine with
many writers any commit may end in ``ConflictError``, and only the program can run its body again: so it is handed over
as a function.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from minidb.exceptions import CommitUnknownError, ConflictError, UsageError, VersionConflictError
from minidb.log import Logger

if TYPE_CHECKING:
    from minidb.api.database import MiniDB
    from minidb.api.transaction import Transaction

_log = Logger("minidb.transaction")

ATTEMPTS: Final = 10
FIRST_PAUSE_S: Final = 0.005
LONGEST_PAUSE_S: Final = 0.5

Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")


def run(database: MiniDB, body: Callable[[Transaction], Result], *, commit_token: bool) -> Result:
    """Run a body in a transaction of its own and commit; run it again after a conflict, at most ``ATTEMPTS`` times.

    With ``commit_token`` also after a commit whose answer was lost, if it was not committed. Inside another transaction
    the body runs once, as a savepoint: only the outermost can be run again.
    """

    def run_once() -> Result:
        results: list[Result] = []
        try:
            with database.begin_transaction(commit_token=commit_token) as transaction:
                results.append(body(transaction))
        except CommitUnknownError as error:
            if not results or error.facts.get("token") is None:
                raise
            if not database.was_committed(error.token):
                raise ConflictError("The connection was lost, and the transaction was not committed") from None
        return results[0]

    return run_once() if database.current_transaction() is not None else repeat(run_once)


def repeat(attempt_once: Callable[[], Result]) -> Result:
    """Call a function that runs a whole transaction; call it again after a conflict, at most ``ATTEMPTS`` times."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return attempt_once()
        except ConflictError as conflict:
            # What the program read before is older than the row: it would be so again.
            if attempt == ATTEMPTS or isinstance(conflict, VersionConflictError):
                raise
            import random  # which most programs never come to

            # Full jitter: those who met once shall not meet again.
            pause_s = random.uniform(0, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt))  # noqa: S311  # no secret
            _log.info("conflict, running again", extra={"attempt": attempt, "pause_ms": round(pause_s * 1000, 1)})
            time.sleep(pause_s)
    raise AssertionError("the last attempt returns or raises")


def takes_transaction(body: Callable[..., Any]) -> bool:
    """Tell whether a body has a positional parameter that must be given: it is then given the transaction."""
    try:
        parameters = inspect.signature(body).parameters.values()
    except (TypeError, ValueError):  # a builtin that does not tell
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(one.kind in positional and one.default is inspect.Parameter.empty for one in parameters)


def require_plain(body: Callable[..., Any]) -> None:
    """Raise ``UsageError`` for a function whose body does not run when it is called, but after the commit."""
    if inspect.iscoroutinefunction(body) or inspect.isgeneratorfunction(body) or inspect.isasyncgenfunction(body):
        raise UsageError(
            "The body of a coroutine or generator function cannot be run in a transaction: it would run after the "
            "commit",
            hint="begin the transaction inside it",
        )


def transactional(database: MiniDB, body: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Return a function whose every call is run by ``run``."""
    require_plain(body)

    @functools.wraps(body)
    def call(*arguments: Parameters.args, **named: Parameters.kwargs) -> Result:
        return run(database, lambda _: body(*arguments, **named), commit_token=False)

    return call
