"""The names of ``minidb.exceptions`` under the flat name ``exceptions``.

For programs that say ``from exceptions import MiniDBError``. It is never installed, since a top-level module of so
common a name would collide with others: whoever wants it puts this folder on the path,
``PYTHONPATH=compat python program.py``.
"""

from __future__ import annotations

from minidb.exceptions import *  # noqa: F403  # every public name, and each one that comes to be added
from minidb.exceptions import __all__  # noqa: F401  # so that a star import of this module gives the same
