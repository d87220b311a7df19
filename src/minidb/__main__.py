"""``python -m minidb``: the command line, for whoever has no ``minidb`` on the path."""

from __future__ import annotations

import sys

from minidb.cli.main import run

sys.exit(run())
