"""What a client may believe of the trading state: silence means HALTED.

The controls tell the state of every account at each beat of the trading flow's timer (output
``state``, ``event`` "heartbeat"). A client that has not heard one for a while cannot know whether
the kill switch was thrown, so it must treat the account as halted.
"""

from __future__ import annotations

from operators.market.controls.states import State


def seen_state(last_state: State | None, last_heard_ns: int, now_ns: int, timeout_ns: int) -> State:
    """Return the state that a client goes by.

    ``last_state`` is that of the account's last ``state`` record, heard at ``last_heard_ns`` by the
    client's own clock (None where there was none), which reads ``now_ns``. More than ``timeout_ns``
    of silence is HALTED; three beats of the timer are a good timeout.

    >>> seen_state(State.ACTIVE, 10, 15, 5).name, seen_state(State.ACTIVE, 10, 16, 5).name
    ('ACTIVE', 'HALTED')
    """
    if last_state is None or now_ns - last_heard_ns > timeout_ns:
        return State.HALTED
    return last_state
