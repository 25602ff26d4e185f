"""A ward of two patients: its records in Redis, sealed as the flow seals them, and who asks."""

from __future__ import annotations

import base64
import uuid
from pathlib import Path
from typing import Any

import orjson
from pydantic import SecretStr

from connectors.redis.keys import Keys
from connectors.redis.sink import RedisSink
from state.adt.outputs import ANOMALIES, BEDS, ENCOUNTERS, LOCATION_VISITS
from state.lifecycle import Lifecycle
from state.outputs import Output, to_json
from state.records import OutputBatch
from state.retraction import retraction
from state.sealing import Keyring, Seal
from state.shards import shard_name

KEYRING = Keyring.generate()
SEAL = Seal(KEYRING)
HERS, HIS = "Ann^^^GH", "Bob^^^GH"
"""Patients of the wards A and B."""
SCOPE = "read:adt.* unseal"
GLASS = "Headrace-Break-Glass"


class Hospital:
    """Writes records into Redis as the flow does."""

    def __init__(self, url: str, generation: int = 1) -> None:
        keys, shard = Keys("adt", generation), shard_name(0)
        sink = RedisSink(
            SecretStr(url), keys, uuid.uuid4().hex, 100_000, [shard], [shard], Lifecycle(), "one"
        )
        self._sink = sink.build_part("redis", shard, None)
        self._counts: dict[str, int] = {}

    def admit(self, patient: str, visit: str, *wards: str) -> None:
        """Say that a visit was in these wards, and that its patient is in bed 1 of the last."""
        who = {"patient": patient, "visit": visit, "version": 1, "because": [], "wards": [*wards]}
        stays = [{"location": f"{ward}^1^1", "class": "I"} for ward in wards]
        self.write(LOCATION_VISITS, who | {"stays": stays})
        self.write(ENCOUNTERS, who | {"status": "in-progress"})
        self.bed(wards[-1], patient, visit)
        odd = {"kind": "double_booked", "patient": patient, "visit": visit, "anomaly": visit}
        where = {"location": f"{wards[-1]}^1^1", "message": "adt.raw:0:0"}
        self.write(ANOMALIES, odd | where | {"wards": [wards[-1]]})

    def bed(self, ward: str, patient: str | None, visit: str | None) -> None:
        """Say who is in bed 1 of a ward."""
        who = {"patient": patient, "visit": visit, "message": "adt.raw:0:0"}
        self.write(BEDS, {"location": f"{ward}^1^1", "status": None, "wards": [ward], **who})

    def write(self, output: Output, record: dict[str, Any]) -> None:
        """Write one record."""
        whole = {"domain": "GH", "ts_ns": 5, **record}
        key = "|".join(str(whole[name]) for name in output.key)
        self._put(output, key, whole, retracted=False)

    def retract(self, output: Output, key: str) -> None:
        """Take a key away."""
        self._put(output, key, {}, retracted=True)

    def _put(self, output: Output, key: str, record: dict[str, Any], *, retracted: bool) -> None:
        count = self._counts[output.name] = self._counts.get(output.name, 0) + 1
        identity = f"{key}|{count}"
        whole = retraction(output, 5, identity, key) if retracted else {"id": identity, **record}
        batch = OutputBatch(
            output.name, "0", count, [5], [identity], [key], [to_json(whole)],
            retracted=frozenset({0} if retracted else ()),
        )  # fmt: skip
        self._sink.write_batch([SEAL.batch(output, batch)])
        self._sink.snapshot()


def entries(path: Path) -> list[dict[str, Any]]:
    """Return the AuditEvents of a file."""
    return [orjson.loads(line)["what"] for line in path.read_bytes().splitlines()]


def told(event: dict[str, Any]) -> dict[str, Any]:
    """Return what an AuditEvent says, in short."""
    asked, *about = event["entity"]
    return {
        "who": event["agent"][0]["who"]["identifier"]["value"],
        "action": event["subtype"][0]["code"],
        "what": asked["what"]["identifier"]["value"],
        "records": int(asked["detail"][0]["valueString"]) if "detail" in asked else None,
        "outcome": event["outcome"],
        "query": base64.b64decode(asked.get("query", "")).decode(),
        "about": [each["what"]["identifier"]["value"] for each in about],
    }
