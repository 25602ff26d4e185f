"""Where the parts are put together: flows of steps, settings, processes and the command line.

A system is a folder with a `system.py`. Nothing outside of that folder names it, and no operator
or connector knows that it is in a flow.
"""
