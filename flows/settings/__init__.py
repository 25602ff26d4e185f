"""Settings: one TOML file and ``HEADRACE_…`` variables, parsed once, frozen.

``part`` is what every table of the file is made of, ``servers`` and ``feed`` are the tables that
no system owns, and ``settings`` puts them and the systems' own tables (flows/<system>/settings.py)
together. Nothing here reads a file or a variable (flows/config.py), or names a system.
"""
