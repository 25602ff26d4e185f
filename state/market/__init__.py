"""What the market's ticks are in memory; no other room of state may know of it."""
