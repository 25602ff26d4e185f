"""librdkafka's public C functions, as its header rdkafka.h declares them.

The library is the one that confluent_kafka brings or was built with. `Unavailable` says why it
cannot be used; the source then takes messages as confluent_kafka's objects (reading.py).
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import confluent_kafka
from confluent_kafka import cimpl

MAJOR = 2
"""The major version of librdkafka whose `MessageStruct` we know; minor ones only add."""

_ADDRESS, _NUMBER, _SIZE, _TEXT = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t, ctypes.c_char_p
_INT32, _INT64 = ctypes.c_int32, ctypes.c_int64

ERROR_CALLBACK = ctypes.CFUNCTYPE(None, _ADDRESS, _NUMBER, _TEXT, _ADDRESS)
"""(client, error, reason, opaque)."""
LOG_CALLBACK = ctypes.CFUNCTYPE(None, _ADDRESS, _NUMBER, _TEXT, _TEXT)
"""(client, syslog level, facility, text)."""

_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "rd_kafka_version": (_NUMBER,),
    "rd_kafka_conf_new": (_ADDRESS,),
    "rd_kafka_conf_destroy": (None, _ADDRESS),
    "rd_kafka_conf_set": (_NUMBER, _ADDRESS, _TEXT, _TEXT, _TEXT, _SIZE),
    "rd_kafka_conf_set_error_cb": (None, _ADDRESS, ERROR_CALLBACK),
    "rd_kafka_conf_set_log_cb": (None, _ADDRESS, LOG_CALLBACK),
    "rd_kafka_new": (_ADDRESS, _NUMBER, _ADDRESS, _TEXT, _SIZE),
    "rd_kafka_name": (_TEXT, _ADDRESS),
    "rd_kafka_set_log_queue": (_NUMBER, _ADDRESS, _ADDRESS),
    "rd_kafka_poll_set_consumer": (_NUMBER, _ADDRESS),
    "rd_kafka_fatal_error": (_NUMBER, _ADDRESS, _TEXT, _SIZE),
    "rd_kafka_consumer_close": (_NUMBER, _ADDRESS),
    "rd_kafka_destroy_flags": (None, _ADDRESS, _NUMBER),
    "rd_kafka_topic_partition_list_new": (_ADDRESS, _NUMBER),
    "rd_kafka_topic_partition_list_add": (_ADDRESS, _ADDRESS, _TEXT, _INT32),
    "rd_kafka_topic_partition_list_set_offset": (_NUMBER, _ADDRESS, _TEXT, _INT32, _INT64),
    "rd_kafka_topic_partition_list_destroy": (None, _ADDRESS),
    "rd_kafka_assign": (_NUMBER, _ADDRESS, _ADDRESS),
    "rd_kafka_pause_partitions": (_NUMBER, _ADDRESS, _ADDRESS),
    "rd_kafka_resume_partitions": (_NUMBER, _ADDRESS, _ADDRESS),
    "rd_kafka_get_watermark_offsets": (_NUMBER, _ADDRESS, _TEXT, _INT32, _ADDRESS, _ADDRESS),
    "rd_kafka_queue_get_consumer": (_ADDRESS, _ADDRESS),
    "rd_kafka_queue_destroy": (None, _ADDRESS),
    "rd_kafka_consume_batch_queue": (ctypes.c_ssize_t, _ADDRESS, _NUMBER, _ADDRESS, _SIZE),
    "rd_kafka_message_errstr": (_TEXT, _ADDRESS),
    "rd_kafka_message_destroy": (None, _ADDRESS),
    "rd_kafka_message_timestamp": (_INT64, _ADDRESS, _ADDRESS),
    "rd_kafka_message_headers": (_NUMBER, _ADDRESS, _ADDRESS),
    "rd_kafka_header_get_all": (_NUMBER, _ADDRESS, _SIZE, _ADDRESS, _ADDRESS, _ADDRESS),
}
"""Name -> (result, arguments...)."""


class Unavailable(Exception):
    """Messages cannot be taken by column here; args: (reason,)."""


class MessageStruct(ctypes.Structure):
    """rd_kafka_message_t."""

    _fields_ = (
        ("err", ctypes.c_int),
        ("rkt", ctypes.c_void_p),
        ("partition", ctypes.c_int32),
        ("payload", ctypes.c_void_p),
        ("len", ctypes.c_size_t),
        ("key", ctypes.c_void_p),
        ("key_len", ctypes.c_size_t),
        ("offset", ctypes.c_int64),
        ("private", ctypes.c_void_p),
    )


@cache
def library() -> ctypes.CDLL:
    """Return librdkafka with its functions declared; calls release the interpreter's lock.

    Raises Unavailable where it is not found or of a version that we do not know.
    """
    try:
        # Asked of the extension, the linker answers with the library that it was linked to, be it
        # in the wheel or the system's.
        found = ctypes.CDLL(str(cimpl.__file__))
        for name, (result, *arguments) in _FUNCTIONS.items():
            function = getattr(found, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise Unavailable(f"librdkafka's functions were not found: {error}") from None
    version = int(found.rd_kafka_version())
    if version != confluent_kafka.libversion()[1]:
        raise Unavailable(f"found librdkafka {version:#x}, which is not confluent_kafka's")
    if version >> 24 != MAJOR:
        raise Unavailable(f"librdkafka {version:#x} is not of major version {MAJOR}")
    return found


def address_of(function: Any) -> int:
    """Return where a function of the library begins, for compiled code to call it."""
    return ctypes.cast(function, ctypes.c_void_p).value or 0
