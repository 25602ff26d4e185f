"""JSON texts of ticks, put together from the texts of their values."""

# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
# A kernel's types are in its signature, where numba holds it to them.

from __future__ import annotations

from numba import types

from connectors.market.kernels.compiling import kernel, read_only


@kernel(types.void(read_only(types.int64), read_only(types.int64, 3), types.int64[::1]))
def measure_json(name_at, at, starts):
    """Set ``starts`` int64[n + 1] to where each tick's JSON begins (see `write_json`)."""
    starts[0] = 0
    for row in range(at.shape[1]):
        length = 1
        for member in range(at.shape[0]):
            text = at[member, row, 1] - at[member, row, 0]
            if text > 0:
                length += text + name_at[member + 1] - name_at[member]
        starts[row + 1] = starts[row] + length


@kernel(
    types.void(
        read_only(types.uint8), read_only(types.int64), read_only(types.uint8),
        read_only(types.int64, 3), read_only(types.int64), types.uint8[::1],
    )
)  # fmt: skip
def write_json(names, name_at, texts, at, starts, data):
    """Write ticks: before member m of tick i stands ``names[name_at[m]:name_at[m + 1]]``.

    Its value is ``texts[at[m, i, 0]:at[m, i, 1]]``; where that is empty, the member is left out.
    """
    for row in range(at.shape[1]):
        to = starts[row]
        for member in range(at.shape[0]):
            if at[member, row, 1] > at[member, row, 0]:
                for k in range(name_at[member], name_at[member + 1]):
                    data[to] = names[k]
                    to += 1
                for k in range(at[member, row, 0], at[member, row, 1]):
                    data[to] = texts[k]
                    to += 1
        data[to] = 0x7D
