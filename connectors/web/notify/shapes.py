"""The body and headers of a notification, for each shape of receiver."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import orjson

from connectors.web.frames import as_json
from connectors.web.notify.endpoint import Endpoint
from state.clock import NS

MAX_TEXT = 3_000
"""Characters of a Slack message; what is beyond is cut."""
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def request(
    endpoint: Endpoint, record_id: str, raw: bytes, unix_s: float
) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of a record, ``raw`` in canonical JSON.

    ``webhook-id`` is the record's id, percent-encoded, the same in every attempt.
    """
    shape = {"standard": _standard, "slack": _slack, "plain": _plain}[endpoint.shape]
    body = shape(endpoint, raw)
    message_id = quote(record_id, safe=":/,=|@ +-_~")
    headers = {"content-type": "application/json", "webhook-id": message_id}
    if endpoint.signer is not None:
        # Source: Standard Webhooks, "Webhook headers".
        now = datetime.fromtimestamp(int(unix_s), UTC)
        headers["webhook-timestamp"] = str(int(unix_s))
        headers["webhook-signature"] = endpoint.signer.sign(message_id, now, body.decode())
    return headers, body


def _plain(_: Endpoint, raw: bytes) -> bytes:
    return as_json(raw)


def _standard(endpoint: Endpoint, raw: bytes) -> bytes:
    output = endpoint.channel.source.output
    event_s = orjson.loads(raw)[output.time] // NS
    head = {"type": output.topic, "timestamp": datetime.fromtimestamp(event_s, UTC)}
    return b'%b,"data":%b}' % (orjson.dumps(head)[:-1], as_json(raw))


def _slack(endpoint: Endpoint, raw: bytes) -> bytes:
    """Source: Slack, "Formatting text for app surfaces": &, < and > are escaped."""
    fields = orjson.loads(raw)
    words = [endpoint.channel.source.name]
    words += [
        f"{name}={value if isinstance(value, str) else orjson.dumps(value).decode()}"
        for name, value in fields.items()
        if value is not None
    ]
    line = " ".join(" ".join(words).split())[:MAX_TEXT]
    return orjson.dumps({"text": line.translate(_ESCAPES)})
