"""Bamboo's API on this machine, written after Bamboo's documentation and not after the adapter.

Nothing here is imported by the adapter, and nothing of the adapter here: a mistake in one of them
shows against the other.
"""

from __future__ import annotations

from starship_bamboo.sandbox.app import sandbox_app
from starship_bamboo.sandbox.world import Settings, World

__all__ = ["Settings", "World", "sandbox_app"]
