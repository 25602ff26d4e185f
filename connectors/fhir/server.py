"""Sends changes to a FHIR server: all of them, in order, and twice is the same as once.

Changes travel as transactions. A server that is down or busy is waited for. Of a transaction that
it refuses for good the halves are sent, and so on, until what is wrong stands alone: that becomes
a dead letter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random
from typing import Any, Protocol, TypeVar

import httpx2
import orjson

from connectors.fhir.bundle import Entry, transaction
from state.errors import BadRecord, Refused, SettingsError
from state.lifecycle import Lifecycle
from state.metrics import SINK_WAITING
from state.records import DeadLetter

NAME = "fhir"
MOST = 100
"""Changes in a transaction: enough to be quick, and few to look through for a bad one."""
TIMEOUT_S = 60.0
FIRST_S, LONGEST_S = 0.1, 30.0
"""The bound of the first pause, and of the longest that we choose ourselves."""
MOST_ASKED_S = 900.0
"""The longest pause that a server may ask for."""
AGAIN = frozenset({408, 425, 429})
CONFLICT, MOST_CONFLICTS = 409, 10
"""Another client changes the same resource: tried again, but not for ever, for some servers answer
so to what can never be (FHIR R4, 3.1.0.1.5)."""
LOGIN = frozenset({401, 403})
NO_SERVER = frozenset({404, 405, 410})
"""What a base answers that is none."""
JSON = "application/fhir+json"
_CODE = re.compile(r"[a-z][a-z-]{0,39}")
_PATH = re.compile(r"[A-Z][A-Za-z]{0,39}([.][a-z][A-Za-z]{0,39}|\[\d{1,4}\]){0,12}")


class Sendable(Protocol):
    """A change: the entries that tell it, and the letter that it becomes where it is refused."""

    @property
    def entries(self) -> list[Entry]:
        """Return the entries."""

    def dead(self, error: BadRecord) -> DeadLetter:
        """Return the letter."""


S = TypeVar("S", bound=Sendable)


class Server:
    """A FHIR R4 server at an address; ``token`` is a bearer's, '' for none."""

    def __init__(
        self,
        base: str,
        token: str,
        lifecycle: Lifecycle,
        random: Random,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._base, self._lifecycle, self._random, self._now = base, lifecycle, random, now
        self._headers = {"Content-Type": JSON, "Accept": JSON, "Prefer": "return=minimal"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._client: httpx2.Client | None = None
        self._failures = 0
        SINK_WAITING.labels(NAME).set(0)

    def take(self, items: Sequence[tuple[str, S]]) -> Iterator[tuple[str, DeadLetter]]:
        """Send ``(shard name, change)`` in order; yield those that are refused.

        Raises SettingsError where the login is refused or no FHIR server is there, Stopped where
        the process is told to stop while it waits.
        """
        for first in range(0, len(items), MOST):
            yield from self._send(items[first : first + MOST])

    def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _send(self, items: Sequence[tuple[str, S]]) -> Iterator[tuple[str, DeadLetter]]:
        answer = self._accepted([entry for _, change in items for entry in change.entries])
        if answer is None:
            return
        if len(items) > 1:
            half = len(items) // 2
            yield from self._send(items[:half])
            yield from self._send(items[half:])
            return
        name, change = items[0]
        yield name, change.dead(Refused(_reason(answer)))

    def _accepted(self, entries: list[Entry]) -> httpx2.Response | None:
        """Send a transaction as often as it takes; return the answer that refuses it for good."""
        body = orjson.dumps(transaction(entries), option=orjson.OPT_SORT_KEYS)
        conflicts = 0
        while True:
            try:
                with self._lifecycle.calling(NAME):
                    answer = self._connected().post(self._base, content=body, headers=self._headers)
            except httpx2.HTTPError as error:
                self.close()
                self._wait(type(error).__name__, 0.0)
                continue
            status = answer.status_code
            conflicts += status == CONFLICT
            passes = status == CONFLICT and conflicts <= MOST_CONFLICTS
            if passes or status in AGAIN or status >= 500:
                self._wait(f"status {status}", self._asked_s(answer))
                continue
            self._over()
            if 200 <= status < 300:
                return None
            if status in LOGIN:
                raise SettingsError(
                    f"the server at adt.fhir_base refuses adt.fhir_token ({status})"
                )
            if status < 400 or status in NO_SERVER:
                raise SettingsError(
                    f"no FHIR server takes transactions at adt.fhir_base ({status})"
                )
            return answer

    def _connected(self) -> httpx2.Client:
        if self._client is None:
            self._client = httpx2.Client(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False)
        return self._client

    def _wait(self, reason: str, asked_s: float) -> None:
        """Sleep before the next try: "full jitter", or what the server asks for if that is more."""
        bound_s = min(FIRST_S * 2.0 ** min(self._failures, 60), LONGEST_S)
        self._failures += 1
        SINK_WAITING.labels(NAME).set(1)
        self._lifecycle.wait(NAME, reason, max(self._random.uniform(0.0, bound_s), asked_s))

    def _over(self) -> None:
        if self._failures:
            self._failures = 0
            SINK_WAITING.labels(NAME).set(0)
            self._lifecycle.recovered(NAME)

    def _asked_s(self, answer: httpx2.Response) -> float:
        """Return what Retry-After asks for, in seconds (RFC 9110, section 10.2.3)."""
        text = answer.headers.get("retry-after", "")
        if text.isdecimal():
            return min(float(text[:9]), MOST_ASKED_S)
        try:
            until = parsedate_to_datetime(text).astimezone(UTC)
        except (ValueError, OverflowError):
            return 0.0
        seconds = (until - self._now()).total_seconds()
        return min(max(seconds, 0.0), MOST_ASKED_S)


def _reason(answer: httpx2.Response) -> str:
    """Return status, code and place of the first error; never a text, which may tell a patient."""
    issue = _issue(answer)
    code, places = issue.get("code"), issue.get("expression")
    found = [f"status {answer.status_code}"]
    if isinstance(code, str) and _CODE.fullmatch(code):
        found.append(code)
    place = places[0] if isinstance(places, list) and places else None
    if isinstance(place, str) and _PATH.fullmatch(place):
        found.append(f"at {place}")
    return " ".join(found)


def _issue(answer: httpx2.Response) -> dict[str, Any]:
    try:
        outcome = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return {}
    issues = outcome.get("issue") if isinstance(outcome, dict) else None
    found = [each for each in issues if isinstance(each, dict)] if isinstance(issues, list) else []
    errors = [each for each in found if each.get("severity") in ("error", "fatal")]
    return next(iter(errors or found), {})
