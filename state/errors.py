"""The tree of errors, whole on this page.

::

    HeadraceError
    ├── Misuse                what the user asked for cannot be done (exit code 2)
    │   └── SettingsError     a setting is missing, unknown or out of range
    ├── Unaudited             the audit of reads cannot be written: what was asked for is refused
    ├── ServerFailed          a local server did not start or end (flows.servers)
    ├── CannotUnseal          sealed data stays closed; never shows any of it
    │   ├── NoKeys            no keyring was given
    │   ├── UnknownKey        the keyring has no key of this id
    │   └── DamagedSeal       it was altered, or sealed with another key for another place
    ├── BadRecord             one input record cannot be used: it becomes a dead letter
    │   ├── Malformed         its bytes do not parse
    │   ├── WrongType         a field is missing or of another type
    │   ├── OutOfRange        a value that cannot be: NaN, a negative price, ...
    │   ├── BadChecksum       a packed frame was damaged
    │   ├── UnknownSchema     nothing tells what its Avro schema is
    │   ├── NoKey             the Kafka message has no key
    │   ├── OtherDomain       its key says that it belongs together with others than it does
    │   ├── Unopened          its value is sealed and does not open
    │   ├── FromTheFuture     its event time is too far ahead of its Kafka time
    │   ├── Refused           a server to which it was sent on refuses it for good
    │   └── AheadOfOthers     its event time is too far ahead of the others of its partition
    └── Broken                going on would lose or falsify data: the flow stops
        ├── OffsetGone        the broker no longer holds the offset to resume from
        ├── TopicReplaced     an input topic was deleted, or is another one of the same name
        ├── LogChanged        a partition holds another record where one was read
        ├── SplitSymbol       a symbol's ticks are in two partitions
        ├── PartitionsChanged the topic's partition count differs from the snapshot's
        ├── SnapshotRefused   a snapshot is of other settings or of an unknown version
        ├── DamagedState      what a flow keeps on disk cannot be read any more
        ├── UnreadableState   ... cannot be read for now: locked, or an error of the disk
        ├── LostWrites        a sink holds less than it had acknowledged
        ├── LostTopic         an output topic holds less than it had acknowledged
        ├── ForeignMarks      a sink holds the marks of another run
        ├── KeyTaken          another program holds a key of ours in Redis
        ├── Fenced            another run writes this generation since
        ├── Undelivered       the broker refused a message for good
        └── Stopped           told to stop while a sink was down

Positional arguments go to ``super().__init__`` so that every error pickles; the
sentence is built in ``__str__`` and names the fault and the fix.
"""

from __future__ import annotations


class HeadraceError(Exception):
    """The root of everything that we raise on purpose."""


class Misuse(HeadraceError):
    """What the user asked for cannot be done; the command exits with 2."""


class SettingsError(Misuse):
    """A setting is missing, unknown or out of range."""


class Unaudited(HeadraceError):
    """args: (reason,)."""

    def __str__(self) -> str:
        return f"the audit of reads cannot be written: {self.args[0]}"


class ServerFailed(HeadraceError):
    """args: (name, reason)."""

    def __str__(self) -> str:
        name, reason = self.args
        return f"{name}: {reason}"


class CannotUnseal(HeadraceError):
    """Sealed data cannot be read with this keyring."""


class NoKeys(CannotUnseal):
    """args: (what,)."""

    def __str__(self) -> str:
        (what,) = self.args
        return f"{what} are sealed: set HEADRACE_SEALING__KEYS_FILE to a file of their keys"


class UnknownKey(CannotUnseal):
    """args: (key id,)."""

    def __str__(self) -> str:
        (key_id,) = self.args
        return (
            f"the keyring has no key {key_id!r}: use the newest key file, which keeps the keys "
            "from before a rotation"
        )


class DamagedSeal(CannotUnseal):
    """args: (what,): an output's topic, or the purpose of other sealed bytes."""

    def __str__(self) -> str:
        (what,) = self.args
        return (
            f"sealed data of {what} does not open: it is damaged, of another output, or sealed "
            "with another key of the same id"
        )


class BadRecord(HeadraceError):
    """One input record cannot be used; args: (reason,). It becomes a dead letter."""


class Malformed(BadRecord):
    """The bytes do not parse as any known format."""


class WrongType(BadRecord):
    """A field is missing or has another type than its format says."""


class OutOfRange(BadRecord):
    """A value that cannot be: NaN, infinity, a negative price, an unknown side."""


class NoTime(BadRecord):
    """A message names no time that could be, neither of the event nor of the sending."""


class OtherDomain(BadRecord):
    """A message lies under the key of others: what belongs to it may be in another partition."""


class BadChecksum(BadRecord):
    """A packed frame's checksum does not match its bytes."""


class UnknownSchema(BadRecord):
    """An Avro message's schema id is not in the directory or registry of schemas."""


class Refused(BadRecord):
    """A server to which the record was sent on refuses it for good."""


class NoKey(BadRecord):
    """The Kafka message has no key, so nothing says which partition it belongs to."""


class Unopened(BadRecord):
    """The value is sealed and does not open: its key is missing, or it was altered."""


class FromTheFuture(BadRecord):
    """The event time exceeds the Kafka timestamp by more than ``max_ahead``."""


class AheadOfOthers(BadRecord):
    """The event time exceeds the others of its partition by more than ``max_jump``."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)

    def __str__(self) -> str:
        (seconds,) = self.args
        return (
            f"ts_ns is {seconds} s ahead of the other ticks of its partition (market.max_jump): "
            "the clock of its producer may be wrong"
        )


class Broken(HeadraceError):
    """Going on would lose or falsify data; the flow stops."""


class OffsetGone(Broken):
    """args: (topic, partition, offset, low, high)."""

    def __str__(self) -> str:
        topic, partition, offset, low, high = self.args
        if offset < low:
            what = f"retention has removed it, and the broker holds {low} to {high}"
        elif high < 0:
            what = "the broker no longer holds it"
        else:
            what = f"the log has lost its end, and the broker holds {low} to {high}"
        return (
            f"offset {offset} of {topic}[{partition}] is gone: {what}. "
            "Start a new generation with --from TIME --generation N, or restore the topic."
        )


class TopicReplaced(Broken):
    """args: (topic, what happened to it)."""

    def __str__(self) -> str:
        topic, what = self.args
        return (
            f"the input topic {topic} {what}: what this generation has read is not what it holds. "
            "Start a new generation with --from TIME --generation N, or restore the topic."
        )


class LogChanged(Broken):
    """args: (topic, partition, offset)."""

    def __str__(self) -> str:
        topic, partition, offset = self.args
        return (
            f"{topic}[{partition}] holds another record at offset {offset} than was read there: "
            "its log has lost its end and went on, as after a power cut or an unclean election. "
            "What came since would be skipped in part. Start a new generation with --from TIME "
            "--generation N, or restore the topic."
        )


class SplitSymbol(Broken):
    """args: (topic, symbol, partition, another partition)."""

    def __str__(self) -> str:
        topic, symbol, one, other = self.args
        return (
            f"{topic}: ticks of {symbol!r} are in partitions {one} and {other}, so nothing can put "
            "them in order: key messages by symbol, with one partitioner for all producers, and "
            "start a new --generation behind the ones that are wrong"
        )


class PartitionsChanged(Broken):
    """args: (topic, before, now)."""

    def __str__(self) -> str:
        topic, before, now = self.args
        return (
            f"{topic} has {now} partitions, the snapshot was made with {before}: keys have moved. "
            "Start a new generation with --from TIME --generation N."
        )


class SnapshotRefused(Broken):
    """args: (what, found, expected)."""

    def __str__(self) -> str:
        what, found, expected = self.args
        return (
            f"the snapshot's {what} is {found}, this program's is {expected}: its state would be "
            "misread. Restore the settings, or start a new generation with --from TIME "
            "--generation N."
        )


class DamagedState(Broken):
    """What a flow keeps on disk cannot be read any more."""

    def __init__(self, what: str, fault: str, way: str) -> None:
        super().__init__(what, fault, way)

    def __str__(self) -> str:
        what, fault, way = self.args
        return (
            f"{what} is damaged ({fault}): restore it from a copy, {way}or start another "
            "generation with --generation N"
        )


class UnreadableState(Broken):
    """What a flow keeps on disk cannot be read for now; nothing says that it is damaged."""

    def __init__(self, what: str, fault: str, way: str) -> None:
        super().__init__(what, fault, way)

    def __str__(self) -> str:
        what, fault, way = self.args
        return f"{what} cannot be read for now ({fault}); nothing says that it is damaged: {way}"


class LostWrites(Broken):
    """args: (sink, output, origin, mark, expected)."""

    def __str__(self) -> str:
        sink, output, origin, mark, expected = self.args
        return (
            f"{sink} has lost writes: {output} of {origin} ends at {mark}, {expected} had been "
            "acknowledged. Restore it, or refill it with --from TIME --generation N."
        )


class LostTopic(Broken):
    """args: (topic, what happened to it)."""

    def __str__(self) -> str:
        topic, what = self.args
        return (
            f"the output topic {topic} {what}: records that had been written are lost to its "
            "readers. Restore it, or write all output topics anew with --from TIME --generation N."
        )


class ForeignMarks(Broken):
    """args: (sink, output, origin, found, expected)."""

    def __str__(self) -> str:
        sink, output, origin, found, expected = self.args
        return (
            f"{sink} holds {output} of {origin} from another run (lineage {found}, ours is "
            f"{expected}). Use a new --generation N."
        )


class KeyTaken(Broken):
    """Another program holds a key of ours in Redis, with another type."""

    def __init__(self, key: str, held: str, wanted: str) -> None:
        super().__init__(key, held, wanted)

    def __str__(self) -> str:
        key, held, wanted = self.args
        return (
            f"the Redis key {key} holds a {held} where a flow writes a {wanted}: another program "
            "has written it; rename or delete it (RENAME, DEL), or use a database of your own"
        )


class Fenced(Broken):
    """args: (system, generation, the run that writes now)."""

    def __str__(self) -> str:
        system, generation, holder = self.args
        return (
            f"generation {generation} of {system} is run twice: {holder} writes it now, so this "
            "run stops. Is the state directory a copy, or was its lock file deleted? Run a "
            "generation once."
        )


class Undelivered(Broken):
    """args: (topic, reason)."""

    def __str__(self) -> str:
        topic, reason = self.args
        return f"a message to {topic} was refused for good: {reason}. It will be produced again."


class Stopped(Broken):
    """args: (sink,)."""

    def __str__(self) -> str:
        (sink,) = self.args
        return f"stopped while waiting for {sink}; the last epoch is replayed at the next start."
