"""The benchmarks as `headrace bench NAME` runs them: options, then figures as text or JSON."""
