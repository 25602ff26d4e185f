"""What happens to ticks: bars, NBBO, volatility, risk, signals, orders; each a file or a room.

Nothing here knows Kafka, Redis or the clock: blocks and events in, records out.
"""
