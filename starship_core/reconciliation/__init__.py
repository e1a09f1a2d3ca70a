"""Reconciliation, daily and by command: what is stuck, what does not agree, what runs low.

A module a subject, each `async def …(ship) -> list[Finding]`; `report.py` asks them all.
"""
