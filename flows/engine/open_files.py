"""How many files a process may have open, of which each connection is one."""

from __future__ import annotations

import logging
import resource

LOG = logging.getLogger(__name__)
OWN_FILES = 512
"""Files that a server opens beside its clients' connections, about."""


def allow_connections(count: int, setting: str) -> None:
    """Let the process open as many files as it may have connections, as far as it is allowed.

    ``setting`` names where ``count`` comes from, for a warning that there are fewer.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + OWN_FILES
    if hard != resource.RLIM_INFINITY and hard < wanted:
        LOG.warning("%s = %d needs %d open files, %d are allowed", setting, count, wanted, hard)
        wanted = hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
