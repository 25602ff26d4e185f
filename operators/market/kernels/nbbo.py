"""The national best bid and offer from one-sided quotes of many venues."""

from __future__ import annotations

from operators.kernels.compiling import kernel
from operators.market.kernels.table import EMPTY, place_of


@kernel("void(i4, i8, i4[::1], i4[::1], f8[:, ::1], i8[:, ::1], f8[:, ::1])")
def _best_bid(slot, oldest, first, following, entry, entry_ns, best):
    """Set columns 0 and 1 of the slot's ``best`` from its venues; price and size 0 where absent.

    Quotes of before ``oldest`` (ns) do not count, where it is not 0.
    """
    price = 0.0
    size = 0.0
    e = first[slot]
    while e >= 0:
        if entry[e, 1] > 0.0 and (oldest == 0 or entry_ns[e, 0] >= oldest):
            if size == 0.0 or entry[e, 0] > price:
                price = entry[e, 0]
                size = entry[e, 1]
            elif entry[e, 0] == price:
                size += entry[e, 1]
        e = following[e]
    best[slot, 0] = price
    best[slot, 1] = size


@kernel("void(i4, i8, i4[::1], i4[::1], f8[:, ::1], i8[:, ::1], f8[:, ::1])")
def _best_ask(slot, oldest, first, following, entry, entry_ns, best):
    """Set columns 2 and 3 of the slot's ``best``, as `_best_bid` does the others."""
    price = 0.0
    size = 0.0
    e = first[slot]
    while e >= 0:
        if entry[e, 3] > 0.0 and (oldest == 0 or entry_ns[e, 1] >= oldest):
            if size == 0.0 or entry[e, 2] < price:
                price = entry[e, 2]
                size = entry[e, 3]
            elif entry[e, 2] == price:
                size += entry[e, 3]
        e = following[e]
    best[slot, 2] = price
    best[slot, 3] = size


ROWS = "Tuple((i4[::1], i4[::1], b1[::1], i8[::1], f8[::1], f8[::1], f8[::1], f8[::1]))"
"""slot, venue, whether it is a quote to apply, event time, bid, its size, ask, its size; by row."""
TABLE = "Tuple((i8[::1], i4[::1], i8[::1]))"
"""keys, values and entry_key of a `operators.market.lookup.Lookup`."""
BOOKS = "Tuple((f8[:, ::1], i8[:, ::1], i4[::1], i4[::1], f8[:, ::1]))"
"""``entry`` float64[., 4] (bid, size, ask, size of a venue), ``entry_ns`` int64[., 2] (when its
sides came; empty where quotes do not age), ``first`` int32[slots] and ``following`` int32[.], which
chain the entries of a slot, and ``best`` float64[slots, 4]."""


@kernel(f"i8({ROWS}, i8, {TABLE}, i8, {BOOKS}, f8[:, ::1])")
def consolidate(rows, ttl, table, count, books, after):  # noqa: C901  # one quote, two sides
    """Apply the quotes of a block; ``after`` float64[n, 4] gets (bid, size, ask, size) after each.

    An entry is one (slot, venue). A side with price 0 says nothing; with size 0 it is withdrawn.
    With a ``ttl`` (ns) above 0, a venue's side counts until it is older than that at the event
    time of a row. ``count`` is the number of entries; returns it as it is then.
    """
    slot, venue, quotes, ts_ns, bid, bid_size, ask, ask_size = rows
    keys, values, entry_key = table
    entry, entry_ns, first, following, best = books
    for i in range(len(slot)):
        if not quotes[i]:
            continue
        s = slot[i]
        key = (s << 24) | (venue[i] << 2)
        place = place_of(keys, key)
        if keys[place] == EMPTY:
            keys[place] = key
            values[place] = count
            entry_key[count] = key
            for k in range(4):
                entry[count, k] = 0.0
            following[count] = first[s]
            first[s] = count
            count += 1
        e = values[place]
        # A quote that neither was nor is at the best price changes nothing of it, so the venues
        # are not searched: that spares half of the searches on real quotes.
        if bid[i] != 0.0:
            touches = entry[e, 0] == best[s, 0] or bid[i] >= best[s, 0] or best[s, 1] == 0.0
            entry[e, 0] = bid[i]
            entry[e, 1] = bid_size[i]
            if touches:
                _best_bid(s, 0, first, following, entry, entry_ns, best)
        if ask[i] != 0.0:
            touches = entry[e, 2] == best[s, 2] or ask[i] <= best[s, 2] or best[s, 3] == 0.0
            entry[e, 2] = ask[i]
            entry[e, 3] = ask_size[i]
            if touches:
                _best_ask(s, 0, first, following, entry, entry_ns, best)
        if ttl > 0:  # time passes at each row, so each searches the venues
            if bid[i] != 0.0:
                entry_ns[e, 0] = ts_ns[i]
            if ask[i] != 0.0:
                entry_ns[e, 1] = ts_ns[i]
            oldest = max(ts_ns[i] - ttl, 1)
            _best_bid(s, oldest, first, following, entry, entry_ns, best)
            _best_ask(s, oldest, first, following, entry, entry_ns, best)
        for k in range(4):
            after[i, k] = best[s, k]
    return count


@kernel(f"void(i8[::1], i8, {BOOKS})")
def chain(entry_key, count, books):
    """Rebuild the chains of entries by slot, in the order of the entries, and the bests."""
    entry, entry_ns, first, following, best = books
    first[:] = -1
    for e in range(count):
        slot = entry_key[e] >> 24
        following[e] = first[slot]
        first[slot] = e
    for slot in range(len(first)):
        _best_bid(slot, 0, first, following, entry, entry_ns, best)
        _best_ask(slot, 0, first, following, entry, entry_ns, best)
