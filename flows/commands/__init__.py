"""The commands of the flows; each module has ``add_arguments(parser)`` and ``run(args) -> int``."""
