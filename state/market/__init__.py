"""What the market's ticks are in memory, and its outputs; no other room of state may know of it."""
