"""Sessions of an exchange, as its calendar says them (the package exchange_calendars)."""

from __future__ import annotations

from datetime import UTC, tzinfo
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from flows.market.settings import Market
from operators.market.alignment import Alignment
from operators.market.controls.quotes import BarEnd, full_bar
from state.clock import NS
from state.errors import SettingsError

FIRST, LAST = "1990-01-01", "2035-12-31"
"""Sessions of fixed years: those around today would make results depend on the day."""

Sessions = tuple[NDArray[np.int64], NDArray[np.int64]]
"""When sessions open and close, ns since 1970 UTC, ascending."""

NO_SESSIONS: Sessions = (np.empty(0, np.int64), np.empty(0, np.int64))


def check_closes(calendar: str, closes_ns: NDArray[np.int64], bars: Alignment) -> None:
    """Raise SettingsError where a session ends within a bar, which would mix two sessions."""
    if (bars.starts(closes_ns) != closes_ns).any():
        raise SettingsError(
            f"market.closes: sessions of {calendar} do not end with a bar of market.risk.interval "
            f'({bars.interval_ns / NS:g} s): choose a shorter one, or market.align = "session"'
        )


def session_borders(opens_ns: NDArray[np.int64], closes_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the middles (ns) between each session's close and the next one's open."""
    return closes_ns[:-1] + (opens_ns[1:] - closes_ns[:-1]) // 2


def window_borders(opens_ns: NDArray[np.int64], closes_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the times (ns) at which sessions open or close, each once: where bars begin anew."""
    return np.unique(np.concatenate((opens_ns, closes_ns)))


@lru_cache(maxsize=4)
def zone_of(calendar: str) -> tzinfo:
    """Return the time zone of an exchange, UTC for ''; raises SettingsError as `sessions_of`."""
    if not calendar:
        return UTC
    sessions_of(calendar)
    import exchange_calendars  # type: ignore[import-untyped]  # noqa: PLC0415  # as there

    zone: tzinfo = exchange_calendars.get_calendar(calendar).tz
    return zone


@lru_cache(maxsize=4)
def sessions_of(calendar: str) -> Sessions:
    """Return the sessions of an exchange by its ISO 10383 code, such as XNYS; '' has none.

    They are those from 1990 to 2035 that its calendar knows: Tokyo's begins in 1997. A break at
    noon is a part of its session. Raises SettingsError where there is no such calendar.
    """
    if not calendar:
        return NO_SESSIONS
    # Imported here: it brings pandas, which a flow without a calendar does not need.
    import exchange_calendars  # noqa: PLC0415
    import pandas as pd  # type: ignore[import-untyped]  # noqa: PLC0415

    try:
        known = exchange_calendars.get_calendar(calendar)
        first = max(pd.Timestamp(FIRST), known.bound_min() or pd.Timestamp(FIRST))
        last = min(pd.Timestamp(LAST), known.bound_max() or pd.Timestamp(LAST))
        found = exchange_calendars.get_calendar(calendar, start=first, end=last)
    except exchange_calendars.errors.InvalidCalendarName:
        raise SettingsError(
            f"market.calendar: there is no {calendar!r}; XNYS is that of New York"
        ) from None
    except (NotImplementedError, ValueError):
        # Some calendars of the package do not work with the pandas of today.
        raise SettingsError(
            f"market.calendar: the package exchange_calendars cannot make {calendar!r}"
        ) from None
    opens, closes = (
        times.dt.tz_localize(None).to_numpy("datetime64[ns]").astype(np.int64)
        for times in (found.opens, found.closes)
    )
    return opens, closes


def aligned(market: Market, interval_ns: int) -> Alignment:
    """Return where the windows of an interval begin."""
    if market.align == "utc":
        return Alignment(interval_ns)
    return Alignment(interval_ns, window_borders(*sessions_of(market.calendar)))


def bar_ends(market: Market) -> BarEnd:
    """Return what tells the end (ns) of a bar by its start and interval."""
    if market.align == "utc":
        return full_bar
    windows = lru_cache(maxsize=64)(partial(aligned, market))

    def end_of(start_ns: int, interval_ns: int) -> int:
        return int(windows(interval_ns).ends(np.array([start_ns]))[0])

    return end_of
