"""Hooks that run in the runtime's own namespaces: prestart, createRuntime, poststart, poststop.

Those of the container's namespaces are run by the launcher (helpers/launch/oci_start.c).
Source: runtime-spec config.md, "POSIX-platform Hooks".
"""

from __future__ import annotations

from rootless import documents
from rootless.errors import RuntimeFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json


class HookFailure(RuntimeFailure):
    """A hook ended badly: what was made is removed, and the poststop hooks run."""


def run(hooks: list[Json] | None, kind: str, state: Json) -> None:
    """Run each with the state on its standard input.  Raises HookFailure for one that fails."""
    for number, hook in enumerate(hooks or ()):
        _one(hook, f"hooks.{kind}[{number}]", documents.dumps(state).encode())


def run_all(hooks: list[Json] | None, kind: str, state: Json) -> list[str]:
    """Run each, also when one before has failed; sentences about those that have.

    Source: runtime-spec runtime.md, "Lifecycle", of poststop.
    """
    told = []
    for hook in hooks or ():
        try:
            run([hook], kind, state)
        except HookFailure as error:
            told.append(error.message)
    return told


def _one(hook: Json, where: str, state: bytes) -> None:
    import os
    import subprocess

    # a file without a name and not a pipe: a hook that does not read, or leaves somebody behind who
    # does not, is not waited for
    given = os.memfd_create("state", os.MFD_CLOEXEC)
    env = dict(word.partition("=")[::2] for word in hook.get("env") or ())
    try:
        with open(given, "wb", closefd=False) as file:
            file.write(state)
        os.lseek(given, 0, os.SEEK_SET)
        done = subprocess.run(
            hook.get("args") or [hook["path"]],
            executable=hook["path"],
            stdin=given,
            env=env,
            timeout=hook.get("timeout"),
            # what it prints is for people, and the output of a runtime belongs to its caller
            stdout=2,
            check=False,
        )
    except subprocess.TimeoutExpired:
        seconds = hook["timeout"]
        raise HookFailure(f"{where}: {hook['path']} took more than {seconds} s") from None
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise HookFailure(f"{where}: cannot run {hook['path']}: {reason}") from None
    finally:
        os.close(given)
    if done.returncode:
        raise HookFailure(f"{where}: {hook['path']} ended with status {done.returncode}")
