"""As whom Postgres runs: it refuses to be root, and wants a user that has a name."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from functools import cache
from pathlib import Path

from tapestream.common.errors import DataFolderError
from tapestream.common.supervisor.spawn import SAME, Identity, launch_command


@cache
def postgres_identity(probe: Path) -> Identity:
    """The first identity under which ``probe --version`` runs.

    An ordinary user stays what it is. For root, and for a container's user without a name, a user
    namespace in which we are called ``nobody`` comes first: the files stay ours and nothing else
    changes. Where the kernel does not allow that, root becomes ``nobody`` and gives it the folder.
    Raises DataFolderError when neither works.
    """
    if os.geteuid() != 0 and _has_name(os.geteuid()):
        return SAME
    other = _ordinary_user()
    tries = [Identity("map", other.pw_uid, other.pw_gid)] if sys.platform == "linux" else []
    if os.geteuid() == 0:
        tries.append(Identity("set", other.pw_uid, other.pw_gid))
    for identity in tries:
        done = subprocess.run(
            launch_command([str(probe), "--version"], identity=identity), capture_output=True, check=False
        )
        if done.returncode == 0:
            return identity
    raise DataFolderError(
        probe, f"Postgres can run neither as uid {os.geteuid()} nor as {other.pw_name}; run as another user"
    )


def give(folder: Path, identity: Identity) -> None:
    """Let the other user, if there is one, own the folder and reach it."""
    if identity.how != "set":
        return
    # The server's folder and the data folder are ours alone otherwise: let it pass, but not look.
    for parent in (folder.parent, folder.parent.parent):
        state = parent.stat()
        if state.st_uid == os.geteuid() and not state.st_mode & 0o001:
            parent.chmod(state.st_mode | 0o011)
    for base, _, files in os.walk(folder):
        os.chown(base, identity.uid, identity.gid)
        for name in files:
            os.chown(os.path.join(base, name), identity.uid, identity.gid)


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _ordinary_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        return next(entry for entry in pwd.getpwall() if entry.pw_uid != 0)
