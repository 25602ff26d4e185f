"""The national best bid and offer from one-sided quotes of many venues."""

from __future__ import annotations

from numba import njit

from operators.market.kernels.table import EMPTY, place_of


@njit("void(i4, i8, i4[::1], i4[::1], f8[:, ::1], i8[:, ::1], f8[:, ::1])", cache=True, nogil=True)
def _best_bid(slot, oldest, first, following, entry, entry_ns, best):
    """Set columns 0 and 1 of the slot's ``best`` from its venues; price 0 where absent.

    Quotes of before ``oldest`` (ns) do not count, where it is not 0.
    """
    price = 0.0
    size = 0.0
    e = first[slot]
    while e >= 0:
        if entry[e, 1] > 0.0 and (oldest == 0 or entry_ns[e, 0] >= oldest):
            if entry[e, 0] > price:
                price = entry[e, 0]
                size = entry[e, 1]
            elif entry[e, 0] == price:
                size += entry[e, 1]
        e = following[e]
    best[slot, 0] = price
    best[slot, 1] = size


@njit("void(i4, i8, i4[::1], i4[::1], f8[:, ::1], i8[:, ::1], f8[:, ::1])", cache=True, nogil=True)
def _best_ask(slot, oldest, first, following, entry, entry_ns, best):
    """Set columns 2 and 3 of the slot's ``best``, as `_best_bid` does the others."""
    price = 0.0
    size = 0.0
    e = first[slot]
    while e >= 0:
        if entry[e, 3] > 0.0 and (oldest == 0 or entry_ns[e, 1] >= oldest):
            if price == 0.0 or entry[e, 2] < price:
                price = entry[e, 2]
                size = entry[e, 3]
            elif entry[e, 2] == price:
                size += entry[e, 3]
        e = following[e]
    best[slot, 2] = price
    best[slot, 3] = size


@njit(
    "void(i4, i4, f8, f8, i8, i8, i4[::1], i4[::1], f8[:, ::1], i8[:, ::1], f8[:, ::1])",
    cache=True,
    nogil=True,
)
def _age(slot, e, bid, ask, ts_ns, ttl, first, following, entry, entry_ns, best):
    """Note when the sides of an entry came; set ``best`` from the quotes that live then."""
    if bid > 0.0:
        entry_ns[e, 0] = ts_ns
    if ask > 0.0:
        entry_ns[e, 1] = ts_ns
    oldest = max(ts_ns - ttl, 1)
    _best_bid(slot, oldest, first, following, entry, entry_ns, best)
    _best_ask(slot, oldest, first, following, entry, entry_ns, best)


@njit(
    "i8(i4[::1], i4[::1], b1[::1], i8[::1], f8[::1], f8[::1], f8[::1], f8[::1], i8, i8[::1], "
    "i4[::1], i8, i8[::1], f8[:, ::1], i8[:, ::1], i4[::1], i4[::1], f8[:, ::1], f8[:, ::1])",
    cache=True,
    nogil=True,
)
def consolidate(
    slot, venue, quotes, ts_ns, bid, bid_size, ask, ask_size, ttl,
    keys, values, count, entry_key, entry, entry_ns, first, following, best, after,
):  # fmt: skip
    """Apply the quotes of a block; ``after`` float64[n, 4] gets (bid, size, ask, size) after each.

    A book entry is one (slot, venue): ``entry`` float64[., 4], found through ``keys``/``values``
    and chained per slot by ``first``/``following``. A side with price 0 says nothing; with
    size 0 it is withdrawn. ``best`` float64[slots, 4] is the consolidated quote of each slot; the
    venues are only searched where a quote was or is at the best price, which spares half of
    the searches on real quotes. With a ``ttl`` (ns) above 0, a venue's side counts until it is
    older than that at the event time of a row; ``entry_ns`` int64[., 2] has the times of bid and
    ask, and each row searches the venues. Returns the number of entries.
    """
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
            entry[count, :] = 0.0
            following[count] = first[s]
            first[s] = count
            count += 1
        e = values[place]
        if bid[i] > 0.0:
            touches = entry[e, 0] == best[s, 0] or bid[i] >= best[s, 0]
            entry[e, 0] = bid[i]
            entry[e, 1] = bid_size[i]
            if touches:
                _best_bid(s, 0, first, following, entry, entry_ns, best)
        if ask[i] > 0.0:
            touches = entry[e, 2] == best[s, 2] or ask[i] <= best[s, 2] or best[s, 2] == 0.0
            entry[e, 2] = ask[i]
            entry[e, 3] = ask_size[i]
            if touches:
                _best_ask(s, 0, first, following, entry, entry_ns, best)
        if ttl > 0:
            _age(s, e, bid[i], ask[i], ts_ns[i], ttl, first, following, entry, entry_ns, best)
        after[i, :] = best[s, :]
    return count


@njit(
    "void(i8[::1], i8, i4[::1], i4[::1], f8[:, ::1], i8[:, ::1], f8[:, ::1])",
    cache=True,
    nogil=True,
)
def chain(entry_key, count, first, following, entry, entry_ns, best):
    """Rebuild the chains of book entries by slot, in the order of the entries, and the bests."""
    first[:] = -1
    for e in range(count):
        slot = entry_key[e] >> 24
        following[e] = first[slot]
        first[slot] = e
    for slot in range(len(first)):
        _best_bid(slot, 0, first, following, entry, entry_ns, best)
        _best_ask(slot, 0, first, following, entry, entry_ns, best)
