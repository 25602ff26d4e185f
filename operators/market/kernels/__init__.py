"""Compiled kernels: numpy, numba and math only; arrays and scalars in, arrays out."""
