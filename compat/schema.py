"""The names of ``minidb.schema`` under the flat name ``schema``.

For programs that say ``from schema import Schema``. It is never installed, since a top-level module of so common a name
would collide with others: whoever wants it puts this folder on the path, ``PYTHONPATH=compat python program.py``.
"""

from __future__ import annotations

from minidb.schema import *  # noqa: F403  # every public name, and each one that comes to be added
from minidb.schema import __all__  # noqa: F401  # so that a star import of this module gives the same
