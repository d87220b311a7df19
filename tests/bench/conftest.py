"""Make ``bench`` importable: it is part of the checkout, not of the package."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))
