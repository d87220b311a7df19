"""``python -m bench``."""

from __future__ import annotations

import sys
from pathlib import Path

# A checkout runs without being installed; an installed MiniDB would otherwise be measured in its stead.
sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from bench.run import main

if __name__ == "__main__":
    sys.exit(main())
