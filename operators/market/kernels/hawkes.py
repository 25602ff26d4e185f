"""Self-exciting intensity of trades, and the likelihood by which it is fitted."""

from __future__ import annotations

import math

from operators.kernels.compiling import kernel

ROWS = "Tuple((b1[::1], i4[::1], i4[::1], i1[::1], i8[::1]))"
"""Whether it is a trade, slot, place of its window, sign, event time; by row of the block."""
EXCITED = "Tuple((f8[:, ::1], i8[::1]))"
"""By slot: excitation float64[., 2] of buys and sells, as of a time (ns)."""
WINDOWS = "Tuple((f8[:, ::1], i8[::1]))"
"""By place: float64[., 3] (R of buys, R of sells, 1 where it has an event), as of a time (ns)."""


@kernel(f"void({ROWS}, f8[:, ::1], {EXCITED}, {WINDOWS})")
def excite(rows, parameters, symbols, windows):
    """Put the excitation after the last trade into its window.

    R <- R exp(-β Δt) + 1 at an event of that side, Δt in seconds (Hawkes, "Spectra of some
    self-exciting and mutually exciting point processes", Biometrika 58, 1971; the recursion is in
    Bacry, Mastromatteo and Muzy, arXiv 1502.04592, and arXiv 1507.02822). Trades are applied in
    the order of the rows: where event time goes back, Δt is 0. ``parameters`` float64[slots, 3] is
    (μ, α, β).
    """
    trades, slot, place, sign, ts_ns = rows
    state, last_ns = symbols
    out, out_ns = windows
    for i in range(len(slot)):
        if not trades[i] or sign[i] == 0:
            continue
        s = slot[i]
        t = ts_ns[i]
        if t > last_ns[s]:
            if last_ns[s] > 0:
                decay = math.exp(-parameters[s, 2] * (1e-9 * (t - last_ns[s])))
                state[s, 0] *= decay
                state[s, 1] *= decay
            last_ns[s] = t
        if sign[i] > 0:
            state[s, 0] += 1.0
        else:
            state[s, 1] += 1.0
        w = place[i]
        if w >= 0:
            out[w, 0] = state[s, 0]
            out[w, 1] = state[s, 1]
            out[w, 2] = 1.0
            out_ns[w] = last_ns[s]


@kernel("f8(f8[::1], f8, f8, f8, f8, f8[::1])")
def log_likelihood(times, horizon, mu, alpha, beta, gradient):
    """Return ln L of ascending ``times`` in [0, ``horizon``]; ``gradient`` gets d/d(μ, α, β).

    ln L = sum ln(μ + α β A_i) - μ T - α sum (1 - exp(-β (T - t_i))), where A_i = sum over j < i of
    exp(-β (t_i - t_j)) = exp(-β Δ) (1 + A_i-1) (Ozaki, "Maximum likelihood estimation of Hawkes'
    self-exciting point processes", Annals of the Institute of Statistical Mathematics 31, 1979).
    """
    total = -mu * horizon
    d_mu, d_alpha, d_beta = -horizon, 0.0, 0.0
    a = d_a = 0.0
    for i in range(len(times)):
        if i > 0:
            gap = times[i] - times[i - 1]
            decay = math.exp(-beta * gap)
            d_a = decay * (d_a - gap * (1.0 + a))
            a = decay * (1.0 + a)
        rate = mu + alpha * beta * a
        total += math.log(rate)
        d_mu += 1.0 / rate
        d_alpha += beta * a / rate
        d_beta += alpha * (a + beta * d_a) / rate
        left = horizon - times[i]
        rest = math.exp(-beta * left)
        total -= alpha * (1.0 - rest)
        d_alpha -= 1.0 - rest
        d_beta -= alpha * left * rest
    gradient[0], gradient[1], gradient[2] = d_mu, d_alpha, d_beta
    return total
