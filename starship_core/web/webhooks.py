"""Webhooks and the feed over HTTP (client API, section 8)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

import msgspec
from litestar import delete, get, post, put
from litestar.types import ASGIApp

from starship_core.audit import By
from starship_core.clock import micros, moment
from starship_core.flows.manage_webhooks import (
    Changes,
    NewWebhook,
    Registered,
    change_webhook,
    register_webhook,
    remove_webhook,
    send_test,
)
from starship_core.flows.redeliver_events import redeliver, redeliver_since
from starship_core.http.errors import decode, invalid, require_json
from starship_core.http.exchange import (
    AnyRequest,
    body_of,
    caller,
    json_reply,
    request_id,
    ship_of,
)
from starship_core.http.paging import path_id, read_page, read_query, whole
from starship_core.store.delivery_log import list_deliveries
from starship_core.store.feed import read_events
from starship_core.store.webhooks import Webhook, find_webhook, time_of, webhooks_of
from starship_core.web.webhook_description import (
    CHANGE,
    DELETE,
    DELIVERIES,
    FEED,
    FEED_LIMIT,
    LIST,
    READ,
    REDELIVER,
    REDELIVER_SINCE,
    REGISTER,
    STATUSES,
    TEST,
    Queued,
    RedeliverBody,
    WebhookAnswer,
    WebhookBody,
    WebhookChanges,
)

_LARGEST: Final = 2**63 - 1
_POSITION: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_body = msgspec.json.Decoder(WebhookBody)
_changes = msgspec.json.Decoder(WebhookChanges)
_redeliver = msgspec.json.Decoder(RedeliverBody)


@post("/webhooks", status_code=200, opt=REGISTER)
async def create_webhook(request: AnyRequest) -> ASGIApp:
    """The webhook for this url, events and credential: made now, or the one there is."""
    require_json(request.scope["headers"])
    body = decode(body_of(request), _body)
    _no_query(request)
    new = NewWebhook(
        name=body.name, url=body.url, events=body.events, credential_id=body.credential_id
    )
    client = caller(request)
    return _reply(await register_webhook(client.id, new, _by(request), ship_of(request)))


@get("/webhooks", opt=LIST)
async def get_webhooks(request: AnyRequest) -> ASGIApp:
    """The client's webhooks, by id."""
    page = read_page(read_query(request.scope["query_string"], ("page", "limit")))
    found = await ship_of(request).database.read(webhooks_of, caller(request).id)
    shown = [_answer(each) for each in page.of(found)]
    return json_reply(shown, page.headers(total=len(found), size=len(shown)))


@get("/webhooks/{webhook_id:str}", opt=READ)
async def get_webhook(request: AnyRequest) -> ASGIApp:
    """One webhook."""
    number = _webhook_id(request)
    _no_query(request)
    found = await ship_of(request).database.read(find_webhook, number, caller(request).id)
    return json_reply(_answer(found))


@put("/webhooks/{webhook_id:str}", opt=CHANGE)
async def put_webhook(request: AnyRequest) -> ASGIApp:
    """Change what the body names."""
    number = _webhook_id(request)
    require_json(request.scope["headers"])
    body = decode(body_of(request), _changes)
    _no_query(request)
    changes = Changes(**msgspec.structs.asdict(body))
    return _reply(
        await change_webhook(
            number, changes, _by(request), ship_of(request), client_id=caller(request).id
        )
    )


@delete("/webhooks/{webhook_id:str}", status_code=200, opt=DELETE)
async def delete_webhook(request: AnyRequest) -> ASGIApp:
    """Delete it; its log is kept for operators."""
    number = _webhook_id(request)
    _no_query(request)
    gone = await remove_webhook(
        number, _by(request), ship_of(request), client_id=caller(request).id
    )
    return json_reply(_answer(gone))


@post("/webhooks/{webhook_id:str}/test", status_code=200, opt=TEST)
async def test_webhook(request: AnyRequest) -> ASGIApp:
    """Queue a test event."""
    number = _webhook_id(request)
    _no_query(request)
    client_id = caller(request).id
    return json_reply(await send_test(number, _by(request), ship_of(request), client_id=client_id))


@get("/webhooks/{webhook_id:str}/deliveries", opt=DELIVERIES)
async def get_deliveries(request: AnyRequest) -> ASGIApp:
    """Deliveries of one webhook, newest first."""
    number = _webhook_id(request)
    query = read_query(request.scope["query_string"], ("page", "limit", "status"))
    page = read_page(query, default=50, largest=500)
    status = query.get("status", "").upper()
    if "status" in query and status not in STATUSES:
        raise invalid("status", "enum", f"must be one of {', '.join(STATUSES)}")
    database = ship_of(request).database
    await database.read(find_webhook, number, caller(request).id)
    found, total = await database.read(
        lambda tx: list_deliveries(tx, number, status=status, limit=page.limit, offset=page.offset)
    )
    return json_reply(found, page.headers(total=total, size=len(found)))


@post("/webhooks/{webhook_id:str}/redeliver", status_code=200, opt=REDELIVER_SINCE)
async def redeliver_all(request: AnyRequest) -> ASGIApp:
    """Everything of one webhook that failed since a time."""
    number = _webhook_id(request)
    require_json(request.scope["headers"])
    since = _since(decode(body_of(request), _redeliver).since)
    _no_query(request)
    queued = await redeliver_since(
        number, since, _by(request), ship_of(request), client_id=caller(request).id
    )
    return json_reply(Queued(queued))


@post("/webhooks/deliveries/{delivery_id:str}/redeliver", status_code=200, opt=REDELIVER)
async def redeliver_one(request: AnyRequest) -> ASGIApp:
    """One delivery again."""
    number = path_id(request.path_params["delivery_id"], "delivery")
    _no_query(request)
    client_id = caller(request).id
    return json_reply(await redeliver(number, _by(request), ship_of(request), client_id=client_id))


@get("/events", opt=FEED)
async def get_events(request: AnyRequest) -> ASGIApp:
    """The client's feed."""
    query = read_query(request.scope["query_string"], ("after", "limit"))
    after = query.get("after", "0")
    if not _POSITION.fullmatch(after) or int(after) > _LARGEST:
        raise invalid("after", "range", f"must be a whole number from 0 to {_LARGEST}")
    limit = whole(query, "limit", largest=FEED_LIMIT) or 100
    client_id = caller(request).id
    found = await ship_of(request).database.read(
        lambda tx: read_events(tx, client_id, after=int(after), limit=limit + 1)
    )
    return json_reply(found[:limit], {"X-Has-More": str(len(found) > limit).lower()})


def _webhook_id(request: AnyRequest) -> int:
    return path_id(request.path_params["webhook_id"], "webhook")


def _no_query(request: AnyRequest) -> None:
    read_query(request.scope["query_string"], ())


def _since(asked: datetime | None) -> datetime:
    try:
        return moment(max(0, micros(asked))) if asked else moment(0)
    except OverflowError:
        raise invalid("since", "range", "is before or after all time") from None


def _by(request: AnyRequest) -> By:
    actor = f"credential:{caller(request).credential_id}"
    return By(actor=actor, request_id=request_id(request))


def _reply(registered: Registered) -> ASGIApp:
    secret = registered.secret
    return json_reply(_answer(registered.webhook, secret.reveal() if secret else None))


def _answer(webhook: Webhook, secret: str | None = None) -> WebhookAnswer:
    return WebhookAnswer(
        id=webhook.id,
        name=webhook.name,
        url=webhook.url,
        events=webhook.events,
        credential_id=webhook.credential_id,
        secret=secret,
        is_active=webhook.is_active,
        inactive_reason=webhook.inactive_reason,
        failures=webhook.failures,
        failing_since=time_of(webhook.failing_since),
        last_success_at=time_of(webhook.last_success_at),
        created_at=time_of(webhook.created_at) or "",
        updated_at=time_of(webhook.updated_at) or "",
    )


ROUTES: Final = (
    create_webhook, get_webhooks, get_webhook, put_webhook, delete_webhook, test_webhook,
    get_deliveries, redeliver_all, redeliver_one, get_events,
)  # fmt: skip
