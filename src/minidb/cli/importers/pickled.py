"""The one place where something is unpickled: what other programs have pickled, where the user says that it may run.

To unpickle is to run whatever the bytes say. MiniDB itself pickles nothing.
"""

from __future__ import annotations

import pickle  # see above
from typing import Any


def unpickle(data: bytes) -> Any:  # Any: whatever was pickled
    """Return what was pickled. REQUIRES that the user has asked for it."""
    return pickle.loads(data)  # noqa: S301  # see above
