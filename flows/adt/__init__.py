"""Patient care, the seed of it: where its parts are put together (system, settings, flow)."""
