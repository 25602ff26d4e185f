"""The engine: what runs a flow, whichever it is.

Contexts give a flow its sources, sinks and steps; the supervisor and its workers run it in
generations; snapshots, health and logs belong to it. It knows no system: systems declare
themselves (`declaration`) and are found by their path (`systems`).
"""
