"""The Kalman filter of a pair's hedge ratio."""

from __future__ import annotations

from numba import njit


@njit("void(f8[::1], f8, f8, f8, f8, f8[::1])", cache=True, nogil=True)
def step(state, y, x, process_variance, noise_variance, out):
    """Filter y = a + b x + v with (a, b) a random walk; ``out`` gets (innovation, its variance).

    v has variance R = ``noise_variance``, each of a and b steps with variance Q =
    ``process_variance``. The prediction keeps (a, b) and adds Q to their variances; the innovation
    is e = y - a - b x, its variance S = (1 x) P (1 x)' + R, the gain K = P (1 x)' / S; then (a b)'
    += K e, and P = (I - K (1 x)) P (I - K (1 x))' + K R K', Joseph's form, which stays positive
    semi-definite under rounding (Kalman 1960; the application is in Chan, "Algorithmic Trading",
    2013, chapter 3). With Q = 0 this is recursive least squares. ``state`` float64[5]: a, b, P_aa,
    P_ab, P_bb.
    """
    a, b = state[0], state[1]
    p_aa, p_ab, p_bb = state[2] + process_variance, state[3], state[4] + process_variance
    e = y - a - b * x
    h_a, h_b = p_aa + p_ab * x, p_ab + p_bb * x
    s = h_a + h_b * x + noise_variance
    k_a, k_b = h_a / s, h_b / s
    state[0] = a + k_a * e
    state[1] = b + k_b * e
    # (I - K (1 x)), its product with P, and that with its transpose.
    i_aa, i_ab, i_ba, i_bb = 1.0 - k_a, -k_a * x, -k_b, 1.0 - k_b * x
    q_aa, q_ab = i_aa * p_aa + i_ab * p_ab, i_aa * p_ab + i_ab * p_bb
    q_ba, q_bb = i_ba * p_aa + i_bb * p_ab, i_ba * p_ab + i_bb * p_bb
    state[2] = q_aa * i_aa + q_ab * i_ab + k_a * k_a * noise_variance
    state[3] = q_aa * i_ba + q_ab * i_bb + k_a * k_b * noise_variance
    state[4] = q_ba * i_ba + q_bb * i_bb + k_b * k_b * noise_variance
    out[0] = e
    out[1] = s
