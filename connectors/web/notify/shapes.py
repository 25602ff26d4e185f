"""The body and headers of a notification, for each shape of receiver."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import orjson

from connectors.web.frames import as_json
from connectors.web.notify.delivery import Delivery
from connectors.web.notify.endpoint import Endpoint
from connectors.web.notify.lines import line
from state.clock import NS

MAX_TEXT = 3_000
"""Characters of a Slack message; what is beyond is cut."""
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def request(endpoint: Endpoint, delivery: Delivery, unix_s: float) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of a record.

    ``webhook-id`` is the record's id, percent-encoded, the same in every attempt.
    """
    shape = {"standard": _standard, "slack": _slack, "plain": _plain}[endpoint.shape]
    body = shape(endpoint, delivery)
    message_id = quote(delivery.id, safe=":/,=|@ +-_~")
    headers = {"content-type": "application/json", "webhook-id": message_id}
    if endpoint.signer is not None:
        # Source: Standard Webhooks, "Webhook headers".
        now = datetime.fromtimestamp(int(unix_s), UTC)
        headers["webhook-timestamp"] = str(int(unix_s))
        headers["webhook-signature"] = endpoint.signer.sign(message_id, now, body.decode())
    return headers, body


def _plain(_: Endpoint, delivery: Delivery) -> bytes:
    return as_json(delivery.raw)


def _standard(endpoint: Endpoint, delivery: Delivery) -> bytes:
    output = endpoint.channel.source.output
    event_s = orjson.loads(delivery.raw)[output.time] // NS
    head = {"type": output.topic, "timestamp": datetime.fromtimestamp(event_s, UTC)}
    return b'%b,"data":%b}' % (orjson.dumps(head)[:-1], as_json(delivery.raw))


def _slack(endpoint: Endpoint, delivery: Delivery) -> bytes:
    """Source: Slack, "Formatting text for app surfaces": what is escaped, and <URL|text>."""
    source, record = endpoint.channel.source, orjson.loads(delivery.raw)
    said = line(source, endpoint.template, record, delivery.was)[:MAX_TEXT].translate(_ESCAPES)
    if delivery.more:
        said += f" · and {delivery.more} before it, left out"
    if endpoint.link:
        said += f" · <{endpoint.link.replace('&', '&amp;')}|open>"
    return orjson.dumps({"text": said})
