"""Patient care: figures of the parser and the timeline."""
