"""An API like VoucherKart's on this machine, written after the documentation of an Indian
aggregator and not after the adapter.
"""

from __future__ import annotations

from starship_voucherkart.sandbox.app import sandbox_app
from starship_voucherkart.sandbox.world import Settings, World

__all__ = ["Settings", "World", "sandbox_app"]
