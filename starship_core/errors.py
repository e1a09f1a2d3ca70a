"""Every exception we raise on purpose, named by what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from starship_core.model import Secret


class StarshipError(Exception):
    """The root: anything below was foreseen, and its text is fit for whoever caused it."""


class ConfigError(StarshipError):
    """Do: fix the file; nothing has started.

    `problems` lists all that is wrong, each with file, section, field.
    """

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class PluginError(StarshipError):
    """Do: fix the packages or the allow-list; nothing has started. `problems` names each plugin."""

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class InvalidInput(StarshipError):
    """Do: correct the request; it was well formed but not acceptable, and nothing was written."""

    def __init__(
        self, message: str, *, field: str | None = None, reason: str | None = None
    ) -> None:
        self.field = field
        self.reason = reason
        super().__init__(message)


class NotFound(StarshipError):
    """Do: check the id; there is no such thing, or it is another client's."""

    def __init__(self, what: str, which: object) -> None:
        super().__init__(f"there is no {what} {which}")


class WrongState(StarshipError):
    """Do: look at the status found; what was asked cannot be done from there, and nothing was
    written.
    """

    def __init__(self, message: str, *, found: str, code: str = "WRONG_STATE") -> None:
        self.found = found
        self.code = code
        super().__init__(message)


class InsufficientFunds(StarshipError):
    """Do: tell the client; nothing was debited, and the same key may be used after a top-up."""


class KeyReused(StarshipError):
    """Do: tell the client; this idempotency key belongs to a different request, and nothing was
    written.
    """


class ReferenceTaken(StarshipError):
    """Do: tell the client; this `ref` belongs to an order with another key, and nothing was
    written.
    """


class Unavailable(StarshipError):
    """Do: ask again after `retry_after` seconds, a purchase with the same reference; nothing was
    accepted.
    """

    def __init__(
        self, message: str = "temporarily unavailable", *, retry_after: float = 1.0
    ) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class VendorError(StarshipError):
    """Do: see the subclass; a vendor answered in a way that is not a reply."""


class Ambiguous(VendorError):
    """Do: never buy again before it is proven not bought; the raw reply is kept, encrypted."""

    def __init__(self, message: str, raw: Secret | None = None) -> None:
        self.raw = raw
        super().__init__(message)
