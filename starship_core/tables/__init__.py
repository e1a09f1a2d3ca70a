"""The core's tables, a file a subject.

Times are microseconds since 1970 UTC, money is minor units, both bigint.
"""

from starship_core.tables import (
    buying,
    catalogue,
    orders,
    people,
    policies,
    stock,
    telling,
    vendors,
    work,
)
from starship_core.tables.columns import metadata

__all__ = [
    "buying",
    "catalogue",
    "metadata",
    "orders",
    "people",
    "policies",
    "stock",
    "telling",
    "vendors",
    "work",
]
