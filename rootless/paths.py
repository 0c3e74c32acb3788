"""Where things are kept.

The XDG base directories are read here by hand, also where a variable is unset: every command needs
them, importing `platformdirs` takes more time than a bare interpreter, and all commands find the
same store, so no verb may ask another authority than the others do.  tests/unit/test_paths.py holds
the two against each other; `doctor`, which may take its time, asks `platformdirs` on the host.
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


def data_home() -> str:
    """Where programs keep the user's data: $XDG_DATA_HOME or ~/.local/share."""
    return _xdg("XDG_DATA_HOME", ".local/share")


def config_home() -> str:
    """Where programs have the user's settings: $XDG_CONFIG_HOME or ~/.config."""
    return _xdg("XDG_CONFIG_HOME", ".config")


def cache_home() -> str:
    """Where programs keep what can be made anew: $XDG_CACHE_HOME or ~/.cache."""
    return _xdg("XDG_CACHE_HOME", ".cache")


def data_dir() -> str:
    """Images, layers, containers, volumes."""
    override = os.environ.get("ROOTLESS_DATA_DIR", "")
    return override or os.path.join(data_home(), "rootless")


def config_dir() -> str:
    """The person's settings."""
    return os.path.join(config_home(), "rootless")


def cache_dir() -> str:
    """What can be made anew at any time."""
    return os.path.join(cache_home(), "rootless")


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
    """Where a container's monitor and the sidecar of its network have their sockets.

    Short, because the address of a unix socket ends at 108 bytes.
    """
    return os.path.join(runtime_dir(), "c", identifier[:12])


def directory(path: str, mode: int) -> None:
    """Make a directory of this mode, whatever the caller's umask: other ids have to pass through.

    Raises OSError.
    """
    os.mkdir(path, mode)
    os.chmod(path, mode)


def ensure(path: str, mode: int = 0o700, hint: str = "") -> str:
    """Make a directory and its parents; refuse one that belongs to somebody else.

    `hint`: what to do then.  Raises HostError.
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
            hint=hint or "remove it, or set XDG_RUNTIME_DIR to a directory of your own",
        )
    if status.st_mode & mode != mode:
        os.chmod(path, mode)  # the caller's umask
    return path


_OVERFLOW = 65534  # an owner that has no id in this user namespace, user_namespaces(7)
_CHOOSE = "choose a place of your own: --root, or ROOTLESS_DATA_DIR"


def ensure_data(path: str) -> None:
    """Make the data directory, closed to everybody else.

    Whoever may write to the directory that it lies in could put another one in its place.  That
    is the person, or root, who may make it sticky, as /tmp is (inode(7)).  Raises HostError.
    """
    parent = os.path.dirname(path)
    try:
        os.makedirs(parent, 0o755, exist_ok=True)
        found = os.stat(parent)
    except OSError as error:
        from rootless import disks

        told = disks.refused(parent, error, what="cannot make the directory")
        raise HostError(told.message, hint=told.hint) from None
    if found.st_uid not in (os.getuid(), 0, _OVERFLOW):
        raise HostError(
            f"the directory {parent} belongs to uid {found.st_uid}, not to you", hint=_CHOOSE
        )
    if found.st_uid != os.getuid() and found.st_mode & 0o022 and not found.st_mode & 0o1000:
        raise HostError(
            f"everybody may remove what is in {parent}, which is not yours and has no sticky bit",
            hint=_CHOOSE,
        )
    ensure(path, 0o700, hint=_CHOOSE)


def helper(name: str) -> str:
    """Path of one of the package's static programs: monitor, launch, attach, init, enter, hello."""
    return os.path.join(BIN, "rootless-" + name)
