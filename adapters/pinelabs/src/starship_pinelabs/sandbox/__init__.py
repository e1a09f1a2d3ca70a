"""Pine Labs' API on this machine, written after its documentation and not after the adapter."""

from __future__ import annotations

from starship_pinelabs.sandbox.app import sandbox_app
from starship_pinelabs.sandbox.world import Settings, World

__all__ = ["Settings", "World", "sandbox_app"]
