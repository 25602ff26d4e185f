"""Become a server that ends with the process that started it.

Run as ``python -I -S launch.py PARENT SIGNAL root|unprivileged COMMAND...``: a program of
its own, since code between fork and exec can deadlock in a process with threads.

``unprivileged`` is for PostgreSQL, which refuses to run as root. Root then enters a user
namespace in which the same user is called ``nobody``: the files keep their owner and no
other permission changes. Where namespaces are forbidden (some containers), it becomes the
user ``nobody`` for real, who then has to be able to reach the program and its home.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys
from pathlib import Path

CLONE_NEWUSER = 0x1000_0000  # linux/sched.h
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with_parent(parent: int, signal_number: int) -> None:
    """Have the kernel send the signal to this process when ``parent`` ends."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent:  # it ended before the kernel knew
        sys.exit(1)


def enter_namespace() -> bool:
    """Enter a user namespace that calls root ``nobody``; False where that is forbidden."""
    user, group = os.geteuid(), os.getegid()
    nobody = pwd.getpwnam("nobody")
    if ctypes.CDLL(None).unshare(CLONE_NEWUSER) != 0:
        return False
    own = Path("/proc/self")
    (own / "setgroups").write_text("deny")
    (own / "uid_map").write_text(f"{nobody.pw_uid} {user} 1")
    (own / "gid_map").write_text(f"{nobody.pw_gid} {group} 1")
    return True


def become_nobody(command: str) -> None:
    """Give up root for good, and the server's home (the working directory) to ``nobody``."""
    nobody = pwd.getpwnam("nobody")
    home = Path.cwd()
    for path in (home, *home.rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)
    for needed in (home, Path(command)):
        if not os.access(needed, os.X_OK):
            sys.exit(
                f"the user nobody cannot reach {needed}: run as a user other than root, "
                "or where every user may enter"
            )


def main(arguments: list[str]) -> None:
    """Replace this process by the command."""
    parent, signal_number, user, *command = arguments
    if user == "unprivileged" and os.geteuid() == 0 and not enter_namespace():
        become_nobody(command[0])
    # Last, since the kernel forgets it when the user changes.
    end_with_parent(int(parent), int(signal_number))
    os.execv(command[0], command)  # noqa: S606  # no shell is what we want


if __name__ == "__main__":
    main(sys.argv[1:])
