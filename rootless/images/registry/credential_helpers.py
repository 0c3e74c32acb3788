"""Programs that keep passwords: `docker-credential-NAME`.

Scope: the three verbs get, store, erase.  Source: docker's credential helper protocol: a verb as
the argument, one document or address on standard input, one on standard output.
"""

from __future__ import annotations

import os

from rootless import documents
from rootless.errors import HostError

_ABSENT = ("not found", "no credentials")
_PATIENCE = 60.0  # seconds; some of them ask the user to unlock something


def name(program: str) -> str:
    """Return what a program is called on $PATH."""
    return "docker-credential-" + program


def get(program: str, address: str) -> tuple[str, str] | None:
    """Return user and secret for an address, None also where there is no such program: the file
    that names it may come from another host, as homes do.  Raises HostError."""
    import shutil

    if shutil.which(name(program)) is None:
        return None
    code, out = _run(program, "get", address.encode())
    if code:
        if any(word in out.lower() for word in _ABSENT):
            return None
        raise _failed(program, "get", out)
    try:
        answer = documents.loads(out)
        user, secret = answer["Username"], answer["Secret"]
    except (ValueError, LookupError, TypeError):
        raise _failed(program, "get", "its answer is not a document with Username") from None
    if not isinstance(user, str) or not isinstance(secret, str):
        raise _failed(program, "get", "its answer has no text as Username and Secret")
    return (user, secret) if secret else None


def store(program: str, address: str, user: str, secret: str) -> None:
    """Keep a secret.  Raises HostError."""
    document = {"ServerURL": address, "Username": user, "Secret": secret}
    code, out = _run(program, "store", documents.dumps(document).encode())
    if code:
        raise _failed(program, "store", out)


def erase(program: str, address: str) -> bool:
    """Forget a secret; False if there was none.  Raises HostError."""
    code, out = _run(program, "erase", address.encode())
    if code and any(word in out.lower() for word in _ABSENT):
        return False
    if code:
        raise _failed(program, "erase", out)
    return True


def _run(program: str, verb: str, data: bytes) -> tuple[int, str]:
    import subprocess

    if os.path.basename(program) != program or not program:
        raise HostError(
            f"{program!r} is not the name of a program that keeps passwords",
            hint="credsStore and credHelpers name what follows docker-credential-",
        )
    try:
        done = subprocess.run(
            [name(program), verb], input=data, capture_output=True, timeout=_PATIENCE, check=False
        )
    except FileNotFoundError:
        raise HostError(
            f"there is no program {name(program)} to ask for passwords",
            hint="install it, or take credsStore and credHelpers out of the file that names it",
        ) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _failed(program, verb, str(error)) from None
    out = done.stdout if done.stdout.strip() else done.stderr
    return done.returncode, out.decode(errors="replace").strip()


def _failed(program: str, verb: str, why: str) -> HostError:
    shown = "".join(char if char.isprintable() else "?" for char in why[:200])
    return HostError(
        f"{name(program)} {verb} failed: {shown}",
        hint="try it by hand; without it, take credsStore out of the file that names it",
    )
