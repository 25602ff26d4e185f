"""Orders while a symbol is halted: what each has to be answered, and a client that sends them."""

from __future__ import annotations

import orjson
from pydantic import SecretStr

from connectors.redis.reader import RedisReader
from flows.servers import KafkaBroker, Valkey
from replay.market.session import TOPIC
from state.outputs import to_json
from tests import producing
from tests.flows.sequences import control, order
from tests.reference.vocabulary import Record
from tests.system.market import wait_until_done
from tests.waiting import PATIENCE_S, eventually


class Orders:
    """A stream of orders beside the market's records, and what each has to be answered.

    The answers are made by definition: the kill switch, a pause, the collar of 5 % around the
    mark, the bands; in this order.
    """

    def __init__(self) -> None:
        self.expected: dict[tuple[str, str], tuple[str, str, int]] = {}
        """(order id, kind) -> (decision, reason, ns)."""
        self.accepted: list[str] = []
        self._band: Record = {}
        self._mark: float | None = None
        self._killed = False

    def hear(self, topic: str, record: Record) -> None:
        if topic == "market.bands":
            self._band = record
        elif topic == "market.nbbo" and record["bid"] and record["ask"]:
            self._mark = (record["bid"] + record["ask"]) / 2
        elif topic == "market.control":
            self._killed = record["type"] == "kill"

    def send(self, number: int, ts_ns: int) -> Record:
        """Return the next order, or the cancel of one that was accepted."""
        if number % 4 == 3 and self.accepted:
            order_id = self.accepted.pop()
            self.expected[order_id, "cancel"] = ("accept", "NONE", ts_ns)
            return {"type": "cancel", "account": "a", "order_id": order_id, "ts_ns": ts_ns}
        upper, lower = self._band.get("upper"), self._band.get("lower")
        side, price = (
            ("buy", None if upper is None else upper + 0.01),
            ("sell", None if lower is None else lower - 0.01),
            ("buy", None),
        )[number % 3]
        order_id = f"o{number}"
        reason = self._reason(price, side)
        self.expected[order_id, "order"] = (
            "accept" if reason == "NONE" else "reject",
            reason,
            ts_ns,
        )
        if reason == "NONE":
            self.accepted.append(order_id)
        return order(order_id, symbol="BAC", side=side, price=price, ts_ns=ts_ns)

    def _reason(self, price: float | None, side: str) -> str:
        assert self._mark is not None
        if self._killed:
            return "ACCOUNT_HALTED"
        if self._band.get("state") == "paused":
            return "SYMBOL_PAUSED"
        if price is None:
            return "NONE"
        if abs(price - self._mark) > 0.05 * self._mark:
            return "PRICE_COLLAR"
        beyond = price > self._band["upper"] if side == "buy" else price < self._band["lower"]
        return "PRICE_BAND" if beyond else "NONE"


class Desk:
    """Sends orders and control events to Kafka; knows what became of them."""

    def __init__(self, kafka: KafkaBroker, valkey: Valkey) -> None:
        self._bootstrap = kafka.bootstrap
        self._producer = producing.producer(kafka.bootstrap, linger_ms=0)
        self._reader = RedisReader(SecretStr(valkey.url), "trading")
        self._market = RedisReader(SecretStr(valkey.url), "market")
        self._sent = 0

    def market_heard(self) -> None:
        """Wait until market has worked all ticks off, and trading has heard what came of them."""
        wait_until_done(self._bootstrap, TOPIC, "headrace.market.1", 1)
        for topic in ("market.bands", "market.nbbo"):
            wait_until_done(self._bootstrap, topic, "headrace.trading.1", 1)

    def band_state(self) -> str:
        state: str = orjson.loads(self._market.latest("bands")["BAC"])["state"]
        return state

    def quotes(self) -> int:
        """Return how many nbbo records market has written."""
        return self._market.marks().get(("nbbo", "0"), 0)

    def order(self) -> tuple[str, str]:
        """Send a market order; return its id and the reason of its decision."""
        self._sent += 1
        order_id = f"o{self._sent}"
        return order_id, self.send(order(order_id, symbol="BAC", price=None))

    def send(self, body: Record) -> str:
        """Send an order or a cancel; return the reason of its decision."""
        self._produce("market.orders", body)
        wanted = (body["order_id"], body["type"])
        eventually(lambda: wanted in self._decisions())
        return self._decisions()[wanted]

    def control(self, kind: str, state: str) -> None:
        """Send a control event; wait for the state that it has to bring."""
        self._produce("market.control", control(kind, by="alice"))
        eventually(lambda: orjson.loads(self._reader.latest("state")["*"])["state"] == state)

    def _produce(self, topic: str, body: Record) -> None:
        self._producer.produce(topic, to_json(body), key=b"k")
        assert self._producer.flush(PATIENCE_S) == 0

    def _decisions(self) -> dict[tuple[str, str], str]:
        values = [orjson.loads(entry.value) for entry in self._reader.entries("decisions")]
        assert len({value["id"] for value in values}) == len(values), "decided twice"
        return {(value["order_id"], value["kind"]): value["reason"] for value in values}
