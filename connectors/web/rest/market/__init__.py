"""What REST serves of market alone: portfolios and positions, the trading state and its switch."""
