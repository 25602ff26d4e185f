"""Value at risk and expected shortfall of a series of returns, a method a file."""
