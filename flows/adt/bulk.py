"""The bulk export of patient care: what Redis holds now, as files of FHIR R4 resources.

It runs in a process of its own, which the gateway starts (`connectors.web.bulk`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import orjson
import redis
from pydantic import SecretStr

from connectors.adt.tables import Tables
from connectors.fhir.lines import LinesWriter
from connectors.redis.client import client
from connectors.redis.copying import Copied, Copy, NoRoom
from connectors.web.bulk import Failure, Finished, Order, Progress, Tell, Work
from operators.adt.fhir.export import FEW, OUTPUTS, TYPES, Export
from state.clock import MS, iso_time
from state.errors import DamagedSeal, Misuse, UnknownKey
from state.sealing import Keyring, Seal

__all__ = ["TYPES", "export"]

COPY = "copy"
NOTES = "OperationOutcome"
STEP = 5_000
"""Records between two words on how far it is."""


class TooLarge(Exception):
    """The files are larger than they may be."""


def export(work: Work, tell: Tell) -> None:
    """Export, telling how far it is and what came of it."""
    try:
        tell(_exported(work, tell))
    except redis.RedisError:
        tell(Failure(503, "Redis cannot be used now"))
    except (TooLarge, NoRoom):
        tell(Failure(413, "it takes more room than feed.exports_bytes leaves: delete an export"))
    except (UnknownKey, DamagedSeal):
        tell(Failure(500, "a record cannot be opened with the keys of the gateway"))
    except Misuse as error:
        tell(Failure(503, str(error)))


def _exported(work: Work, tell: Tell) -> Finished | Failure:
    where = work.directory / COPY
    where.mkdir()
    copy, connected = Copy(where, OUTPUTS, work.most_bytes), client(SecretStr(work.redis_url))
    try:
        advance = _counting(tell, "records read")
        found = copy.fill(connected, "adt", _first_ms(work.order), advance)
        return _written(work, copy, found, _counting(tell, "resources written"))
    finally:
        copy.close()
        connected.close()
        shutil.rmtree(where)


def _written(
    work: Work, copy: Copy, found: Copied, advance: Callable[[int], None]
) -> Finished | Failure:
    """Write the files of what a copy holds."""
    order, seal = work.order, Seal(Keyring.parse(work.keyring))
    known = f"changes are known since {iso_time(found.reach_ns)} only"
    if order.until_ns is not None and order.until_ns < found.reach_ns:
        return Failure(400, f"_until: {known}")
    complete = order.since_ns is None or order.since_ns >= found.reach_ns
    tables = Tables(copy, seal, order.since_ns if complete else None, order.until_ns)
    made = Export(tables, seal.fingerprint, order.types, order.group)
    files = _Files(work)
    for resource in made.resources():
        files.add(resource["resourceType"], orjson.dumps(resource))
        advance(1)
    counts = files.close()
    if not complete:
        files.add(NOTES, orjson.dumps(_note(f"_since: {known}, so this is everything")))
    persons = tuple(sorted(made.persons)) if len(made.persons) <= FEW else ()
    return Finished(found.at_ns, counts, files.close(), persons, files.bytes)


def _first_ms(order: Order) -> int | None:
    """Return since when changes have to be known."""
    times_ns = [each for each in (order.since_ns, order.until_ns) if each is not None]
    return min(times_ns) // MS if times_ns else None


def _note(text: str) -> dict[str, Any]:
    issue = {"severity": "information", "code": "informational", "diagnostics": text}
    return {"resourceType": NOTES, "issue": [issue]}


def _counting(tell: Tell, what: str) -> Callable[[int], None]:
    """Return what counts, and tells now and then how many there were."""
    count = told = 0

    def advance(more: int) -> None:
        nonlocal count, told
        count += more
        if count - told >= STEP:
            told = count
            tell(Progress(f"{count} {what}"))

    return advance


class _Files:
    """The files of an export, one for each type."""

    def __init__(self, work: Work) -> None:
        self.bytes = 0
        """In the files that are closed."""
        self._work, self._own = work, Seal(Keyring.parse(work.own))
        self._open: dict[str, LinesWriter] = {}

    def add(self, kind: str, line: bytes) -> None:
        """Add a line to the file of a type. Raises TooLarge."""
        writer = self._open.get(kind)
        if writer is None:
            writer = self._open[kind] = LinesWriter(self._work.directory / kind, self._own)
        if writer.add(line) and self._size() > self._work.most_bytes:
            raise TooLarge

    def close(self) -> dict[str, int]:
        """Write the ends; return how many lines each of the files has."""
        for writer in self._open.values():
            writer.close()
        self.bytes = self._size()
        counts = {kind: writer.count for kind, writer in self._open.items()}
        self._open.clear()
        return counts

    def _size(self) -> int:
        return self.bytes + sum(writer.bytes for writer in self._open.values())
