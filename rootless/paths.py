"""Where things are kept.

The XDG base directories are read here by hand, because every command needs them and `platformdirs`
costs as much time as starting a container; a test holds the two against each other.
Scope: names of places.  Creating them is the business of whoever writes there, through `ensure`.
"""

from __future__ import annotations

import os

from rootless.errors import HostError

PACKAGE = os.path.dirname(os.path.abspath(__file__))
BIN = os.path.join(PACKAGE, "bin")


def _xdg(variable: str, fallback: str) -> str:
    value = os.environ.get(variable, "")
    # the XDG specification: a relative path is invalid and must be ignored
    if value.startswith("/"):
        return value
    return os.path.join(home(), fallback)


def home() -> str:
    """The person's home directory, from $HOME or the password database."""
    value = os.environ.get("HOME", "")
    if value.startswith("/"):
        return value
    import pwd

    return pwd.getpwuid(os.getuid()).pw_dir


def data_dir() -> str:
    """Images, layers, containers, volumes."""
    override = os.environ.get("ROOTLESS_DATA_DIR", "")
    return override or os.path.join(_xdg("XDG_DATA_HOME", ".local/share"), "rootless")


def config_dir() -> str:
    """The person's settings."""
    return os.path.join(_xdg("XDG_CONFIG_HOME", ".config"), "rootless")


def cache_dir() -> str:
    """What can be made anew at any time."""
    return os.path.join(_xdg("XDG_CACHE_HOME", ".cache"), "rootless")


def runtime_dir() -> str:
    """What a reboot may forget: sockets.

    Without a usable $XDG_RUNTIME_DIR this is a directory of mode 0700 under /tmp, never under
    $TMPDIR, because some job systems empty that between steps.  /tmp is shared: another user may
    have made the directory first, so `ensure` checks who owns it.
    """
    value = os.environ.get("XDG_RUNTIME_DIR", "")
    if value.startswith("/") and os.access(value, os.W_OK | os.X_OK):
        return os.path.join(value, "rootless")
    return f"/tmp/rootless-{os.getuid()}"


def socket_directory(identifier: str) -> str:
    """Where a container's monitor and slirp4netns have their sockets.

    Short, because the address of a unix socket ends at 108 bytes.
    """
    return os.path.join(runtime_dir(), "c", identifier[:12])


def ensure(path: str, mode: int = 0o700) -> str:
    """Make a directory and its parents; refuse one that belongs to somebody else.

    Raises HostError.
    """
    try:
        os.makedirs(path, mode, exist_ok=True)
        status = os.stat(path, follow_symlinks=False)
    except OSError as error:
        from rootless import disks

        told = disks.refused(path, error, what="cannot make the directory")
        raise HostError(told.message, hint=told.hint) from None
    if status.st_uid != os.getuid():
        raise HostError(
            f"the directory {path} belongs to uid {status.st_uid}, not to you",
            hint="remove it, or set XDG_RUNTIME_DIR to a directory of your own",
        )
    return path


def helper(name: str) -> str:
    """Path of one of the package's static programs: monitor, launch, attach, init, enter, hello."""
    return os.path.join(BIN, "rootless-" + name)
