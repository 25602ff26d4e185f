"""One client: what it may, what it is subscribed to, and what waits for it; no socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from connectors.web import frames
from connectors.web.audit import Audit
from connectors.web.channels import Channel, UnknownChannel, parse
from connectors.web.frame_queue import FrameQueue, Outlet
from connectors.web.frames import BadMessage, Record
from connectors.web.groups import Subscription
from connectors.web.hub import Hub
from connectors.web.limits import MAX_CHARACTERS, MAX_SUBSCRIPTIONS, MAX_WIDE, Bucket, Limits
from connectors.web.reads import Reads
from connectors.web.tokens import BREAK_GLASS, UNSEAL, Access, Refused, TooMany
from connectors.web.wishes import Wish, Wishes, wished
from state.metrics import FEED_CONFLATED, FEED_SLOW
from state.outputs import LATEST

INVALID_DATA = 1007
UNAUTHENTICATED = 4001
FORBIDDEN = 4003
TOO_SLOW = 4008
RATE = 4009
EXPIRED = 4010
TOO_MANY = 4011
STALLED_S = 60.0
"""A client that takes nothing for longer is disconnected, whatever it is subscribed to."""

Verify = Callable[[str], Access]


class Session:
    """A client after its handshake. Not for several threads."""

    def __init__(
        self,
        hub: Hub,
        verify: Verify,
        limits: Limits,
        audit: Audit,
        reads: Reads,
        encoding: str,
        address: str,
        outlet: Outlet,
    ) -> None:
        """``verify`` returns the access that a token gives, or raises Refused or TooMany."""
        self.encoding = encoding
        self.access: Access | None = None
        self.subscriptions: dict[str, Subscription] = {}
        self.closed = False
        self.reading = asyncio.Lock()
        self._hub = hub
        self._verify = verify
        self._limits = limits
        self._audit = audit
        self._wishes = Wishes(hub, reads, self._begin)
        self._address = address
        self._outlet = outlet
        self._queue = FrameQueue(outlet, limits.queue_bytes, lambda: hub.dirty.add(self))
        self._behind = False
        rate = limits.requests_per_second
        self._bucket = Bucket(rate, 2 * rate, time.monotonic())

    @property
    def subject(self) -> str:
        """Return who this is; '' before anybody knows."""
        return self.access.subject if self.access else ""

    def open(self) -> None:
        """Greet the client."""
        self.send(
            {
                "type": "hello",
                "version": frames.VERSION,
                "heartbeat_ms": round(self._limits.heartbeat_s * 1000),
                "requests_per_second": self._limits.requests_per_second,
            }
        )
        self._hub.sessions.add(self)

    def end(self) -> None:
        """Forget everything; nothing is sent any more."""
        self.closed = True
        self._hub.sessions.discard(self)
        for name in list(self.subscriptions):
            self._leave(name)
        self._wishes.under_way.clear()
        self._queue.clear()

    def spend(self) -> bool:
        """Return whether one more frame may come now; disconnect where not."""
        if self._bucket.take(time.monotonic()):
            return True
        self._refuse("message", "rate", "too many messages a second", RATE)
        return False

    def garbled(self) -> None:
        """Disconnect: a text is no UTF-8 (RFC 6455, section 8.1)."""
        self._refuse("message", "utf-8", "a text has to be UTF-8", INVALID_DATA)

    def receive(self, data: bytes) -> None:
        """Do what a message asks for, or answer why not."""
        try:
            self._obey(frames.parse(data, self.encoding))
        except BadMessage as error:
            self.error("bad-message", str(error))
        self.flush()

    def _obey(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "auth":
            self.authenticate(message.get("token"))
        elif self.access is None:
            reason = "the first message has to be auth"
            self._refuse("message", "unauthenticated", reason, UNAUTHENTICATED)
        elif kind == "subscribe":
            self._subscribe(message)
        elif kind == "unsubscribe":
            self._unsubscribe(message.get("channel"))
        else:
            raise BadMessage("type has to be auth, subscribe or unsubscribe")

    def authenticate(self, token: object) -> None:
        """Take a token, the first or one that renews."""
        if not isinstance(token, str):
            raise BadMessage("token has to be text")
        try:
            access = self._verify(token)
        except Refused as error:
            self._refuse("auth", "unauthenticated", str(error), UNAUTHENTICATED)
            return
        except TooMany as error:
            self._refuse("auth", "clients", str(error), TOO_MANY)
            return
        if self.access is not None and (access.subject, access.rows) != (
            self.access.subject,
            self.access.rows,
        ):
            self._refuse("renew", "forbidden", "a renewal has the same sub and rows", FORBIDDEN)
            return
        self.admit(access)
        lost = "the renewed token does not give it"
        for subscription in list(self.subscriptions.values()):
            channel, glass = subscription.group.channel, subscription.until_s is not None
            if not self._may_keep(access, channel, glass=glass):
                self._leave(str(channel))
                self._forbid(channel, lost)
        for name, wish in list(self._wishes.under_way.items()):
            if not self._may_keep(access, wish.channel, glass=bool(wish.reason)):
                del self._wishes.under_way[name]
                self._forbid(wish.channel, lost)

    def _may_keep(self, access: Access, channel: Channel, *, glass: bool) -> bool:
        source = channel.source
        sealed = self._hub.sources[source.name] is source
        return (
            access.may_read(source.output.system, source.output.name)
            and (sealed or access.may(UNSEAL))
            and (not glass or access.may(BREAK_GLASS))
        )

    def admit(self, access: Access) -> None:
        """Let the client do what ``access`` allows."""
        self._audit.allowed(access.subject, self._address, "auth")
        self.access = access

    def _subscribe(self, message: dict[str, Any]) -> None:
        asked, after = message.get("channel"), message.get("after")
        if not isinstance(asked, str) or self.access is None:
            raise BadMessage("channel has to be text")
        try:
            channel = parse(asked, self._hub.sources_for(self.access))
        except UnknownChannel as error:
            self.error("unknown-channel", str(error), asked[:200])
            return
        position = frames.parse_position(after) if after is not None else None
        try:
            wish = wished(self.access, channel, asked, position, message.get("reason"))
        except Refused as error:
            self._forbid(channel, str(error))
            return
        if full := self._full(wish):
            self.error(*full)
            return
        self._audit.allowed(self.subject, self._address, f"subscribe {channel.loggable}")
        self._outlet.keep()
        if channel.source.private:
            self._wishes.add(self.subject, self._address, wish)
        else:
            self._join(wish)

    def _full(self, wish: Wish) -> tuple[str, str, str] | None:
        """Return code, reason and channel of the error where no such channel has room."""
        name, fields = str(wish.channel), wish.channel.source.fields
        if name in self.subscriptions or name in self._wishes.under_way:
            return "bad-message", "subscribed already", name
        if len(self.subscriptions) + len(self._wishes.under_way) >= MAX_SUBSCRIPTIONS:
            return "too-many", f"{MAX_SUBSCRIPTIONS} channels at the most", name
        if self._characters() + len(name) + len(wish.asked) > MAX_CHARACTERS:
            reason = f"{MAX_CHARACTERS} characters at the most in all channels"
            return "too-many", reason, name[:200]
        if wish.channel.wide and self._wide() >= MAX_WIDE:
            reason = f"{MAX_WIDE} channels at the most that do not filter by {fields[0]}"
            return "too-many", reason, name
        return None

    def _begin(self, wish: Wish, failure: BaseException | None) -> None:
        """Let a subscription begin that is audited, or say that it cannot be."""
        if failure is None:
            self._join(wish)
        else:
            self._unaudited(str(wish.channel))
        self.flush()

    def reread(self, subscription: Subscription, then: Callable[[], None]) -> None:
        """Audit that a channel is read again, then begin it again, or end it."""

        def audited(failure: BaseException | None) -> None:
            name = subscription.group.name
            if self.subscriptions.get(name) is not subscription:
                return  # nobody waits for it any more
            if failure is None:
                then()
            else:
                self._leave(name)
                self._unaudited(name)
                self.flush()

        self._wishes.again(self.subject, self._address, subscription.group, audited)

    def _unaudited(self, channel: str) -> None:
        self.error("unaudited", "the audit of reads cannot be written now", channel)

    def _join(self, wish: Wish) -> None:
        until_s = time.monotonic() + self._limits.break_glass_s if wish.reason else None
        group = self._hub.group(wish.channel, wish.access)
        subscription = Subscription(self, group, wish.asked, wish.after, until_s)
        self.subscriptions[str(wish.channel)] = subscription
        self._hub.join(subscription)

    def _characters(self) -> int:
        return sum(len(name) + len(asked) for name, asked in self._held())

    def _held(self) -> list[tuple[str, str]]:
        """Return the channels that the client has or waits for, and how it asked for each."""
        found = [(name, each.asked) for name, each in self.subscriptions.items()]
        return found + [(name, each.asked) for name, each in self._wishes.under_way.items()]

    def _wide(self) -> int:
        channels = [each.group.channel for each in self.subscriptions.values()]
        channels += [each.channel for each in self._wishes.under_way.values()]
        return sum(channel.wide for channel in channels)

    def _unsubscribe(self, asked: object) -> None:
        name = next((pair[0] for pair in self._held() if asked in pair), None)
        if name is None:
            raise BadMessage("channel has to be the name of a subscription")
        if self._wishes.under_way.pop(name, None) is None:
            self._leave(name)

    def _leave(self, name: str) -> None:
        channel = self.subscriptions[name].group.channel
        self._hub.leave(self.subscriptions.pop(name))
        if channel.source.private:
            self._wishes.left(self.subject, self._address, channel)

    def _forbid(self, channel: Channel, reason: str) -> None:
        who, what = (self.subject, self._address), f"subscribe {channel.loggable}"
        self._audit.refused(*who, what, "forbidden", reason)
        if channel.source.private:
            self._wishes.refused(*who, channel, reason)
        self.error("forbidden", reason, str(channel))

    def _refuse(self, what: str, code: str, reason: str, close: int) -> None:
        self._audit.refused(self.subject, self._address, what, code, reason)
        self.error(code, reason)
        self._close(close, reason)

    def error(self, code: str, reason: str, channel: str | None = None) -> None:
        """Answer with an error."""
        named = {} if channel is None else {"channel": channel}
        self.send({"type": "error", **named, "code": code, "reason": reason})

    def send(self, content: dict[str, Any]) -> None:
        """Send a message of this client's own."""
        self.write(frames.message(self.encoding, content))

    def write(self, frame: bytes) -> None:
        """Put a frame behind what waits; `flush` sends it."""
        if not self.closed:
            self._queue.write(frame)

    def write_asked(self, frame: bytes) -> None:
        """Put a frame that the client asked for: it may be larger than its queue."""
        if not self.closed:
            self._queue.write_asked(frame)

    def deliver(self, subscription: Subscription, found: Sequence[Record], frame: bytes) -> None:
        """Give records of a channel, for which ``frame`` was made, by the channel's policy."""
        if not subscription.begun:
            return
        if subscription.group.channel.source.policy == LATEST and (
            self._behind or self.blocked or self._queue.full()
        ):
            self._behind = True
            before = len(subscription.pending)
            subscription.pending.update((record.key, record) for record in found)
            FEED_CONFLATED.inc(len(found) - (len(subscription.pending) - before))
        elif self._queue.full():
            self._too_slow("more than feed.queue_bytes wait")
        else:
            self.write(frame)

    def flush(self) -> None:
        """Send what waits."""
        if not self.closed:
            self._queue.flush()
        if self._behind and not self.blocked:
            self.unblock()

    def block(self, now_s: float) -> None:
        """The way to the client is full."""
        self._queue.block(now_s)

    def unblock(self) -> None:
        """The way is free: what was conflated follows."""
        self._queue.unblock()
        self._behind = False
        for subscription in self.subscriptions.values():
            if subscription.pending:
                self.write_asked(subscription.group.late(subscription))
        self.flush()

    @property
    def blocked(self) -> bool:
        """Return whether nothing can be sent at the moment."""
        return self._queue.blocked_s is not None

    def heartbeat(self, frame: bytes, now_s: float, unix_s: float) -> None:
        """Tell that we are there; disconnect who cannot be told, or may no longer be."""
        if self.access is not None and (self.access.expires_s or unix_s) < unix_s:
            self._refuse("stay", "expired", "the token has expired", EXPIRED)
            return
        for name, subscription in list(self.subscriptions.items()):
            if subscription.until_s is not None and subscription.until_s <= now_s:
                self._leave(name)
                self.error("expired", "the break-glass read has ended: drop what it gave", name)
        if not self.blocked:
            self.write(frame)
        elif self._queue.stalled_s(now_s) > STALLED_S:
            self._too_slow(f"nothing was taken for {STALLED_S:.0f} s")

    def unauthenticated(self) -> None:
        """Disconnect: nobody has said who this is."""
        self._refuse("auth", "unauthenticated", "no token came in time", UNAUTHENTICATED)

    def _too_slow(self, reason: str) -> None:
        FEED_SLOW.inc()
        self._audit.refused(self.subject, self._address, "stay", "slow", reason)
        self._close(TOO_SLOW, f"too slow: {reason}")

    def _close(self, code: int, reason: str) -> None:
        self.flush()
        self.end()
        self._outlet.close(code, reason)
