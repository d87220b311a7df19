"""The one place where something is unpickled: what other programs have pickled, where the user says that it may run.

To unpickle is to run whatever the bytes say. MiniDB itself pickles nothing.
"""

from __future__ import annotations

import pickle  # see above
from typing import Any

from minidb.exceptions import UsageError


def unpickle(data: bytes) -> Any:  # Any: whatever was pickled
    """Return what was pickled. REQUIRES that the user has asked for it. Raises ``UsageError`` where it cannot be."""
    try:
        return pickle.loads(data)  # noqa: S301  # see above
    except Exception as error:  # whatever the code raises that the bytes name
        raise UsageError(
            f"A value cannot be unpickled: {error}",
            hint="objects of your own classes are not imported: make plain values of them with a program",
        ) from error
