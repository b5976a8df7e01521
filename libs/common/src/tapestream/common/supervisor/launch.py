"""Run as a script in front of every child: makes sure that it dies with its parent, then execs.

``launch.py PARENT_PID DEATH_SIGNAL IDENTITY COMMAND…`` where IDENTITY is ``same``, ``map:UID:GID``
(a user namespace in which we are UID: files stay ours, root looks like an ordinary user) or
``set:UID:GID`` (become that user).

A script of its own, with nothing imported that is not needed: no code runs between fork and exec
of the supervisor, and the launcher costs some 15 ms.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself would cost more than all the rest
    from typing import Any

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
EX_NO_IDENTITY = 71


def main(arguments: list[str]) -> None:
    parent, death_signal, identity, *command = arguments
    # The supervisor blocks nothing, but whoever started it may have.
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    if identity != "same":
        try:
            _become(identity)
        except OSError as error:
            print(f"cannot run as {identity}: {error}", file=sys.stderr)
            sys.exit(EX_NO_IDENTITY)
    # After the change of identity, which clears it.
    if int(death_signal) and sys.platform == "linux":
        _libc().prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != int(parent):  # it died before prctl: nobody would tell us any more
            sys.exit(0)
    os.execvp(command[0], command)


def _become(identity: str) -> None:
    how, uid, gid = identity.split(":")
    if how == "set":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
        return
    outside_uid, outside_gid = os.geteuid(), os.getegid()
    if _libc().unshare(_CLONE_NEWUSER) != 0:
        raise OSError(_errno(), "no user namespaces here")
    for file, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {outside_uid} 1"),
        ("gid_map", f"{gid} {outside_gid} 1"),
    ):
        with open(f"/proc/self/{file}", "w") as out:  # one write call, as the kernel wants it
            out.write(text)


def _libc() -> Any:
    import ctypes  # noqa: PLC0415 - only where it is needed

    return ctypes.CDLL(None, use_errno=True)


def _errno() -> int:
    import ctypes  # noqa: PLC0415

    return ctypes.get_errno()


if __name__ == "__main__":
    main(sys.argv[1:])
