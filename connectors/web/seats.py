"""Who may have a connection: so many in all, of an address, and of a subject."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable

from connectors.web.limits import Limits

STANDING = 64
"""Connections beyond the bounds that wait for what they ask: only what is vital is answered."""
CLIENTS = "more connections than feed.clients"
ADDRESS = "more connections of one address than feed.clients_per_address"

PutOut = Callable[[str], None]
"""Ends a connection, with the reason."""


class Seats:
    """The connections that there are, by any key of theirs, such as the transport.

    One that asks for nothing *gives way*: the oldest of these is put out where a new one finds no
    seat. So idle connections lock nobody out, however many they are. Where all seats are in use, a
    new connection *stands*: it may still ask for what is vital.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._seated: dict[Hashable, str] = {}
        self._addresses: Counter[str] = Counter()
        self._subjects: Counter[str] = Counter()
        self._named: dict[Hashable, str] = {}
        self._giving: dict[Hashable, PutOut] = {}
        self._standing: dict[Hashable, PutOut] = {}
        self._served: set[Hashable] = set()
        """Those that stand no longer, for they have asked for what is vital."""

    def enter(self, key: Hashable, address: str, put_out: PutOut) -> str:
        """Take a seat, which gives way; return '', or why the connection has to stand."""
        limits = self._limits
        if self._addresses[address] >= limits.clients_per_address and not self._free(address):
            reason = ADDRESS
        elif len(self._seated) >= limits.clients and not self._free():
            reason = CLIENTS
        else:
            self._seated[key] = address
            self._addresses[address] += 1
            self._giving[key] = put_out
            return ""
        self.stand(key, reason, put_out)
        return reason

    def stand(self, key: Hashable, reason: str, put_out: PutOut) -> None:
        """Stand without a seat; where too many do, the one that has stood longest is put out."""
        self._standing[key] = put_out
        if len(self._standing) > STANDING:
            first = next(iter(self._standing))
            self._standing.pop(first)(reason)

    def serve(self, key: Hashable) -> None:
        """Put a standing connection out no more: it has asked for what is vital."""
        if key in self._standing and len(self._served) < STANDING:
            del self._standing[key]
            self._served.add(key)

    def keep(self, key: Hashable) -> None:
        """Give way no longer: the connection is at work."""
        self._giving.pop(key, None)

    def give(self, key: Hashable, put_out: PutOut) -> None:
        """Give way from now on, behind all others that do."""
        if key in self._seated:
            self._giving.pop(key, None)
            self._giving[key] = put_out

    def name(self, key: Hashable, subject: str) -> bool:
        """Keep a seat for a subject; return False where it has as many as it may."""
        if self._named.get(key) == subject:
            return True
        if self._subjects[subject] >= self._limits.clients_per_subject:
            return False
        self._unname(key)
        self._named[key] = subject
        self._subjects[subject] += 1
        self.keep(key)
        return True

    def leave(self, key: Hashable) -> None:
        """Give the seat back; a connection that has none is forgotten."""
        self._standing.pop(key, None)
        self._served.discard(key)
        self._giving.pop(key, None)
        self._unname(key)
        address = self._seated.pop(key, None)
        if address is not None:
            _less(self._addresses, address)

    def _unname(self, key: Hashable) -> None:
        subject = self._named.pop(key, None)
        if subject is not None:
            _less(self._subjects, subject)

    def _free(self, address: str | None = None) -> bool:
        """Put out the oldest that gives way, of an address or of any; return whether one did."""
        of_any = address is None
        key = next((k for k in self._giving if of_any or self._seated[k] == address), None)
        if key is None:
            return False
        put_out = self._giving[key]
        self.leave(key)
        put_out(CLIENTS if of_any else ADDRESS)
        return True


def _less(counter: Counter[str], name: str) -> None:
    counter[name] -= 1
    if not counter[name]:
        del counter[name]
