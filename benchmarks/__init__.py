"""Measurements of what we claim, over real servers and real processes.

Nothing here is imported by the layers below. A benchmark may know a system; the rig, the reports
and the crash campaign are shared.
"""
