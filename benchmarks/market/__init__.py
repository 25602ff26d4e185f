"""Benchmarks of the market: throughput, latency, sinks, and each risk figure against numpy.

What a figure is compared with is written here a second time and shares no code with the flow.
"""
