"""Daily risk: portfolios from session close to session close, by every method."""
