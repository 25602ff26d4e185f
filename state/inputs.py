"""The inputs of a flow, declared: what it reads is known before it is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Input:
    """One topic that a flow reads.

    ``role``: ``stream`` is read; ``unordered`` is appended to the flow's one sequenced topic, which
    is a stream of its own; ``made`` is a topic that the flow only sees to being there.
    ``partitions``: with how many the topic is made where it is missing; 0 where whoever feeds it
    makes it. ``kept``: the broker keeps such a topic for good. ``group``: topics of one group are
    read together or, where none of them exists at a generation's first start, left out of that
    generation for good; '' for a topic that has to exist. ``batch``: the most messages of one
    block; 0 for kafka.batch. ``patient``: nobody waits for its records, so an idle one is looked at
    ten times a second only.
    """

    topic: str
    role: Literal["stream", "unordered", "made"] = "stream"
    partitions: int = 0
    kept: bool = False
    group: str = ""
    batch: int = 0
    patient: bool = False
