"""Patient care's records in Valkey, made of HL7 messages by the flow's own logic, and sealed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr

from connectors.adt.messages import parse
from connectors.redis.keys import Keys
from connectors.redis.sink import RedisSink
from operators.adt.timeline import Timeline
from operators.outputs import Outputs
from state.adt.facts import Told
from state.adt.outputs import OUTPUTS
from state.lifecycle import Lifecycle
from state.records import Coordinates
from state.rows import RowBlock
from state.sealing import Keyring, Seal
from state.shards import shard_name
from tests.connectors.web.page_rig import page_of

KEYS = Keyring.generate()
ORIGIN = "0"


class Care:
    """Tells messages as the flow would read them, each at the next offset."""

    def __init__(self, redis_url: str) -> None:
        shard = shard_name(0)
        sink = RedisSink(
            SecretStr(redis_url),
            Keys("adt", 1),
            uuid.uuid4().hex,
            100_000,
            [shard],
            [shard],
            Lifecycle(),
            "care",
        )
        self._sink = sink.build_part("redis", shard, None)
        self._outputs = Outputs(OUTPUTS, Seal(KEYS))
        self._logic = Timeline(1)
        self._offset = 0

    def tell(self, *messages: bytes) -> None:
        """Return when Valkey has what the messages give."""
        told = []
        for raw in messages:
            told.append(Told(Coordinates("adt.raw", 0, self._offset), *parse(raw)))
            self._offset += 1
        list(self._logic.process(RowBlock("adt.raw", 1, told), self._outputs))
        for batch in self._outputs.take():
            self._sink.write_batch([batch])
        self._sink.snapshot()


def ago(hours: float) -> datetime:
    """Return the time so many hours before now."""
    return datetime.now(UTC) - timedelta(hours=hours)


def message(
    trigger: str,
    visit: str,
    place: str,
    when: datetime,
    *,
    patient: str = "",
    kind: str = "I",
    prior: str = "",
    admitted: datetime | None = None,
    behind: str = "",
    recorded: datetime | None = None,
) -> bytes:
    """Return a message of a visit; the patient is P and the digits of the visit's number.

    ``admitted`` is PV1-44, ``behind`` more segments, ``recorded`` EVN-2 where it is not ``when``.
    """
    patient = patient or f"P{visit[1:]}"
    since = f"{'|' * 25}{_stamp(admitted)}" if admitted else ""
    return _message(
        trigger,
        when,
        recorded or when,
        f"PID|1||{patient}^^^GH^MR||TESTCASE^ALPHA",
        f"PV1|1|{kind}|{place}|||{prior}{'|' * 13}{visit}^^^GH^VN{since}",
        *([behind] if behind else []),
    )


def bed(place: str, status: str, when: datetime) -> bytes:
    """Return an A20: the status of a bed by table 0116."""
    return _message("A20", when, when, f"NPU|{place}|{status}")


def _message(trigger: str, when: datetime, recorded: datetime, *segments: str) -> bytes:
    head = rf"MSH|^~\&|PAS|GH|HEADRACE|GH|{_stamp(recorded)}||ADT^{trigger}|1|P|2.5.1"
    evn = f"EVN|{trigger}|{_stamp(recorded)}||||{_stamp(when)}"
    return "\r".join([head, evn, *segments, ""]).encode()


def _stamp(when: datetime) -> str:
    return f"{when:%Y%m%d%H%M%S.%f}"[:-2] + "+0000"


@contextmanager
def care_page(redis_url: str, **feed: Any) -> Iterator[str]:
    """Serve the page of patient care with the keys; everybody may unseal, or who has a token."""
    asked = {"systems": ("adt",), "unseal": True, **feed}
    with page_of(redis_url, keys=KEYS.text(), **asked) as address:
        yield address
