"""Fits that are asked for beside the flow, and the answers that have come.

A fit is slow, so it is a record: a request says what is to be fitted and from when the answer
counts. The answer is a function of the request alone, so a replay that has none computes it, and
gets the same. What lies at or after the time from which an answer counts waits for it;
everything before does not.
"""

from __future__ import annotations

from typing import Any

Request = dict[str, Any]
Answer = dict[str, Any]


class Requests:
    """The requests without an answer in force, by id, and the answers that have come.

    An answer may come before its request is asked: in a recording, and after a restart.
    """

    def __init__(self) -> None:
        self._open: dict[str, Request] = {}
        self._answers: dict[str, Answer] = {}

    def ask(self, request: Request) -> None:
        """Note a request."""
        self._open[request["id"]] = request

    def take(self, answer: Answer) -> bool:
        """Keep an answer unless it is not the first; return whether it was asked for."""
        identity = answer["id"]
        self._answers.setdefault(identity, answer)
        return identity in self._open

    def missing(self, time_ns: int) -> list[Request]:
        """Return the requests whose answers count at this time and have not come."""
        return [r for r in self._due(time_ns) if r["id"] not in self._answers]

    def in_force(self, time_ns: int) -> list[tuple[Request, Answer]]:
        """Take out the requests whose answers count by now, by time and id."""
        due = sorted(self._due(time_ns), key=lambda r: (r["counts_from_ns"], r["id"]))
        found = [(self._open.pop(r["id"]), self._answers.pop(r["id"])) for r in due]
        # What counted before now can be asked for no more: it is a repetition, or not ours.
        self._answers = {i: a for i, a in self._answers.items() if a["ts_ns"] > time_ns}
        return found

    @property
    def waiting(self) -> int:
        """Return how many requests have no answer."""
        return sum(identity not in self._answers for identity in self._open)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {"open": dict(self._open), "answers": dict(self._answers)}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._open, self._answers = dict(parts["open"]), dict(parts["answers"])

    def _due(self, time_ns: int) -> list[Request]:
        return [r for r in self._open.values() if r["counts_from_ns"] <= time_ns]
