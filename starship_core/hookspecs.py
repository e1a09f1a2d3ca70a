"""The six hooks: all that can be plugged in.

A hook hands over registrations and does nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pluggy

from starship_core.registration import (
    FxRegistration,
    NotifierRegistration,
    PolicyRegistration,
    SourceRegistration,
    VendorRegistration,
    WalletRegistration,
)

hookspec = pluggy.HookspecMarker("starship")
hookimpl = pluggy.HookimplMarker("starship")


@hookspec
def register_inventory_sources() -> Iterable[SourceRegistration[Any]]:
    """Where pre-purchased vouchers come from when the pump runs."""
    return ()


@hookspec
def register_vendor_fulfillers() -> Iterable[VendorRegistration[Any]]:
    """Vendors that can be asked for vouchers once a fallback is approved."""
    return ()


@hookspec
def register_fx_providers() -> Iterable[FxRegistration[Any]]:
    """Exchange rates used to price an order in the wallet's currency."""
    return ()


@hookspec
def register_wallet_backends() -> Iterable[WalletRegistration[Any]]:
    """Where a client's balance is kept."""
    return ()


@hookspec
def register_notifiers() -> Iterable[NotifierRegistration[Any]]:
    """Who is told, and how, when an order changes."""
    return ()


@hookspec
def register_fulfil_policies() -> Iterable[PolicyRegistration[Any]]:
    """Who may say that a vendor is bought from without an operator."""
    return ()
