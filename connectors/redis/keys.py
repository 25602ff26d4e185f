"""The names of everything that a system keeps in Redis (docs/redis.md).

The braces are a Redis Cluster hash tag: all keys of one system share a slot, so that
one script may write them together.
"""

from __future__ import annotations

from dataclasses import dataclass


def generation_key(system: str) -> str:
    """Return the key that tells readers the current generation of a system."""
    return f"headrace:{{{system}}}:generation"


def notified_key(system: str) -> str:
    """Return the hash ``<endpoint>/<output>`` -> position up to which it was notified."""
    return f"headrace:{{{system}}}:notified"


def mark_field(output: str, origin: str) -> str:
    """Return the field of the marks hash for one output from one origin."""
    return f"{output}/{origin}"


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one generation of one system."""

    system: str
    generation: int

    @property
    def prefix(self) -> str:
        """Return what all keys of this generation begin with."""
        return f"headrace:{{{self.system}}}:{self.generation}:"

    @property
    def marks(self) -> str:
        """Return the hash ``<output>/<origin>`` -> counter of the last record held."""
        return self.prefix + "marks"

    @property
    def lineage(self) -> str:
        """Return the string that names the run to which the marks belong."""
        return self.prefix + "lineage"

    @property
    def writer(self) -> str:
        """Return the string that names the run which may write (lease.py)."""
        return self.prefix + "writer"

    def stream(self, output: str) -> str:
        """Return the stream of an output: fields origin, counter, id, v; some have retracted."""
        return f"{self.prefix}stream:{output}"

    def latest(self, output: str) -> str:
        """Return the hash table key -> last JSON of a keyed output."""
        return f"{self.prefix}latest:{output}"
