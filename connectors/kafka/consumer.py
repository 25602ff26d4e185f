"""A consumer on librdkafka's public functions: what the source needs of confluent_kafka's Consumer.

A handle of our own, and not the one inside a Consumer. Whoever takes messages from a consumer's
queue also runs its callbacks, also where only the queues of partitions were forwarded (a partition
that is unknown is told of there), and those of a Consumer end the process where they were not
called from its own `consume` or `poll`.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from connectors.kafka.library import ERROR_CALLBACK, LOG_CALLBACK, Unavailable, library

_CONSUMER = 1
_NO_CONSUMER_CLOSE = 8
_FATAL = KafkaError._FATAL  # noqa: SLF001  # librdkafka's own codes are named so

_CLIENTS_OWN = frozenset(
    {
        "default.topic.config",
        "plugin.library.paths",
        "sasl.oauthbearer.metadata.authentication.type",
    }
)
"""Options behind which confluent_kafka does more than hand them on."""

_LEVELS = (
    *[logging.CRITICAL] * 3,
    logging.ERROR,
    logging.WARNING,
    logging.INFO,
    logging.INFO,
    logging.DEBUG,
)
"""Of syslog's levels, as confluent_kafka translates them."""


class RawConsumer:
    """A consumer of one topic, by settings as confluent_kafka's Consumer takes them.

    ``on_error`` is told of the client's errors and ``logger`` of its log lines, both from within
    `take` and `close`. Raises Unavailable where there is no library, or it refuses the settings,
    and KafkaException where librdkafka does not do what it is told.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        topic: str,
        on_error: Callable[[KafkaError], None],
        logger: logging.Logger,
    ) -> None:
        self.library = library()
        self._topic = topic.encode()
        self._on_error = on_error
        self._logger = logger
        # Kept: librdkafka holds only their addresses.
        self._callbacks = ERROR_CALLBACK(self._tell_error), LOG_CALLBACK(self._tell_log)
        self._client: int | None = self._open(settings)
        self._queue: int | None = self.library.rd_kafka_queue_get_consumer(self._client)

    @property
    def client(self) -> int | None:
        """The address of the rd_kafka_t; None once closed."""
        return self._client

    def assign(self, offsets: Mapping[int, int]) -> None:
        """Read these partitions from these offsets on."""
        with self._listed(offsets) as partitions:
            _check(self.library.rd_kafka_assign(self._client, partitions))

    def pause(self, partition: int) -> None:
        """Deliver nothing more of a partition; what was fetched of it is dropped."""
        with self._listed({partition: 0}) as partitions:
            _check(self.library.rd_kafka_pause_partitions(self._client, partitions))

    def resume(self, partition: int) -> None:
        """Go on with a partition, behind the last message that was taken."""
        with self._listed({partition: 0}) as partitions:
            _check(self.library.rd_kafka_resume_partitions(self._client, partitions))

    def offset_bounds(self, partition: int) -> tuple[int, int]:
        """Return (first, next) offset as the last fetch told them; negative where unknown."""
        low, high = ctypes.c_int64(-1), ctypes.c_int64(-1)
        self.library.rd_kafka_get_watermark_offsets(
            self._client, self._topic, partition, ctypes.byref(low), ctypes.byref(high)
        )
        return low.value, high.value

    def take(self, messages: int, at_most: int) -> int:
        """Write the addresses of messages to ``messages``; return how many; never waits.

        Each has to be given back by rd_kafka_message_destroy, before this is closed.
        """
        count: int = self.library.rd_kafka_consume_batch_queue(self._queue, 0, messages, at_most)
        return count

    def close(self) -> None:
        """Close the consumer."""
        if self._client is not None:
            # After a fatal error it refuses to close, and would wait for ever for being closed.
            refused = self.library.rd_kafka_consumer_close(self._client)
            self._destroy(_NO_CONSUMER_CLOSE if refused else 0)

    def __del__(self) -> None:
        # A flow that fails drops its source without closing it.
        if getattr(self, "_client", None) is not None:
            self._destroy(_NO_CONSUMER_CLOSE)

    def _destroy(self, flags: int) -> None:
        if self._queue is not None:
            self.library.rd_kafka_queue_destroy(self._queue)
        self.library.rd_kafka_destroy_flags(self._client, flags)
        self._client = self._queue = None

    def _open(self, settings: Mapping[str, Any]) -> int:
        functions, reason = self.library, ctypes.create_string_buffer(512)
        conf = self._configured(settings)
        client: int | None = functions.rd_kafka_new(_CONSUMER, conf, reason, len(reason))
        if not client:
            functions.rd_kafka_conf_destroy(conf)
            # Its words may repeat a secret; confluent_kafka's objects will say it, redacted.
            raise Unavailable("librdkafka refuses the settings")
        # Log lines too wait in the consumer's queue, for no thread of librdkafka's runs Python.
        functions.rd_kafka_set_log_queue(client, None)
        functions.rd_kafka_poll_set_consumer(client)
        return client

    def _configured(self, settings: Mapping[str, Any]) -> int:
        functions, reason = self.library, ctypes.create_string_buffer(512)
        conf: int = functions.rd_kafka_conf_new()
        for name, value in {**settings, "log.queue": True}.items():
            text = _text(value).encode()
            refused = functions.rd_kafka_conf_set(conf, name.encode(), text, reason, len(reason))
            if refused or name in _CLIENTS_OWN:
                functions.rd_kafka_conf_destroy(conf)
                raise Unavailable(f"librdkafka by itself does not take {name}")
        tell_error, tell_log = self._callbacks
        functions.rd_kafka_conf_set_error_cb(conf, tell_error)
        functions.rd_kafka_conf_set_log_cb(conf, tell_log)
        return conf

    @contextmanager
    def _listed(self, offsets: Mapping[int, int]) -> Iterator[int]:
        functions = self.library
        partitions: int = functions.rd_kafka_topic_partition_list_new(len(offsets))
        try:
            for p, offset in offsets.items():
                functions.rd_kafka_topic_partition_list_add(partitions, self._topic, p)
                functions.rd_kafka_topic_partition_list_set_offset(
                    partitions, self._topic, p, offset
                )
            yield partitions
        finally:
            functions.rd_kafka_topic_partition_list_destroy(partitions)

    def _tell_error(self, client: int, code: int, reason: bytes | None, opaque: int) -> None:
        text, fatal = (reason or b"").decode(errors="replace"), code == _FATAL
        if fatal:
            words = ctypes.create_string_buffer(512)
            code = self.library.rd_kafka_fatal_error(client, words, len(words))
            text = words.value.decode(errors="replace")
        self._on_error(KafkaError(code, text, fatal))

    def _tell_log(self, client: int, level: int, facility: bytes, text: bytes) -> None:
        name = self.library.rd_kafka_name(client)
        words = (part.decode(errors="replace") for part in (facility, name, text))
        self._logger.log(_LEVELS[min(level, len(_LEVELS) - 1)], "%s [%s] %s", *words)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check(code: int) -> None:
    if code:
        raise KafkaException(KafkaError(code))
