"""`starship …` on a machine whose clock is 40 minutes ahead."""

from __future__ import annotations

from datetime import datetime, timedelta

from starship_core import clock

_right = clock.utc_now


def _ahead() -> datetime:
    return _right() + timedelta(minutes=40)


if __name__ == "__main__":
    clock.utc_now = _ahead
    from starship_core.cli import main

    main()
