"""The commands of recordings; each module has ``add_arguments(parser)`` and ``run(args)``."""
