"""Every error code of the client API: what it means, and whether a retry can help."""

from __future__ import annotations

from typing import Final, NamedTuple


class Kind(NamedTuple):
    """One line of the catalogue."""

    http: int
    name: str
    when: str
    retry_helps: str


_AFTER_CORRECTING: Final = "no: correct the request"
CATALOGUE: Final[dict[str, Kind]] = {
    "E_VALIDATION_FAILURE": Kind(
        400, "ValidationException", "Body or query fails its schema; `messages` says where.",
        _AFTER_CORRECTING,
    ),
    "INVALID_INPUT": Kind(
        400, "InvalidInputError",
        "Well formed but not acceptable: a denomination that is not offered, an id in the body "
        "that is not yours, a quote that ended. `details` names field and reason.",
        _AFTER_CORRECTING,
    ),
    "SYNTAX_ERROR": Kind(
        400, "SyntaxError",
        "The body is not JSON in UTF-8, holds `\\u0000`, or is nested deeper than 32.",
        _AFTER_CORRECTING,
    ),
    "IDEMPOTENCY_KEY_REQUIRED": Kind(
        400, "IdempotencyError",
        "The header Idempotency-Key is missing, or holds more than printable ASCII.",
        _AFTER_CORRECTING,
    ),
    "IDEMPOTENCY_KEY_TOO_SHORT": Kind(
        400, "IdempotencyError", "The key has fewer than 8 characters.", _AFTER_CORRECTING
    ),
    "IDEMPOTENCY_KEY_TOO_LONG": Kind(
        400, "IdempotencyError", "The key has more than 256 characters.", _AFTER_CORRECTING
    ),
    "E_UNAUTHORIZED_ACCESS": Kind(
        401, "UnauthorizedError",
        "Key, secret, address or signature is not accepted. Which one is never told.",
        "no: correct the credential, the signature or the clock",
    ),
    "INSUFFICIENT_BALANCE": Kind(
        402, "InsufficientBalanceError", "The wallet does not hold enough; nothing was kept.",
        "yes, after a top-up, with the same key",
    ),
    "NOT_FOUND": Kind(
        404, "NotFoundError", "There is no such thing, or it is another client's.",
        "no: check the id",
    ),
    "METHOD_NOT_ALLOWED": Kind(
        405, "MethodNotAllowedError", "The path exists, but not with this method; see Allow.",
        _AFTER_CORRECTING,
    ),
    "DUPLICATE_REFERENCE": Kind(
        409, "ConflictError", "Your `ref` belongs to an order with another Idempotency-Key.",
        "no: choose another ref, or send the key of that order",
    ),
    "WRONG_STATE": Kind(
        409, "ConflictError", "It cannot be done from the status that was found.",
        "no: look at the status in `details`",
    ),
    "PURCHASE_OPEN": Kind(
        409, "ConflictError", "A purchase at a vendor is still open for this order.",
        "yes, once that purchase is settled",
    ),
    "PAYLOAD_TOO_LARGE": Kind(
        413, "PayloadTooLargeError", "The body is over 1 MiB.", _AFTER_CORRECTING
    ),
    "UNSUPPORTED_MEDIA_TYPE": Kind(
        415, "UnsupportedMediaTypeError",
        "The body is not sent as `Content-Type: application/json`, or it is compressed.",
        _AFTER_CORRECTING,
    ),
    "IDEMPOTENCY_KEY_REUSED": Kind(
        422, "IdempotencyError", "This Idempotency-Key belongs to a different request.",
        "no: a different order needs a different key",
    ),
    "TOO_MANY_REQUESTS": Kind(
        429, "TooManyRequestsError", "More calls than your limit a minute.",
        "yes, after Retry-After seconds",
    ),
    "HEADERS_TOO_LARGE": Kind(
        431, "HeadersTooLargeError", "Request line and headers together are over 64 KiB.",
        _AFTER_CORRECTING,
    ),
    "INTERNAL_ERROR": Kind(
        500, "InternalServerError", "A fault of ours, logged under the request id.",
        "yes; POST /orders with the same Idempotency-Key",
    ),
    "UNAVAILABLE": Kind(
        503, "ServiceUnavailableError", "The database is away or busy; nothing was accepted.",
        "yes, after Retry-After seconds, with the same Idempotency-Key",
    ),
}  # fmt: skip
