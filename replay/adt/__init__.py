"""Patient care's tools: they are found by their names."""
