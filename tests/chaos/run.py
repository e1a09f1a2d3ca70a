"""`make chaos`: kill servers and workers, restart Redis, at random moments at load; then verify."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.chaos.story import main

    sys.exit(main())
