"""What the verbs of `rootless-runtime` do; one function each, under the verb's name.

This is where the rooms meet: the runtime makes processes, cgroups come from their own room.
"""

from __future__ import annotations

import os
import sys

from rootless import documents
from rootless.errors import Conflict, ContainerNotFound, RuntimeFailure, UsageError
from rootless.runtime import hooks, launcher, lifecycle, state_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.documents import Json
    from rootless.runtime.bundles import Bundle
    from rootless.runtime.state_directory import Box

    Shared = dict[str, Json]
    Given = dict[str, Json]


def root_of(shared: Shared) -> str:
    """The directory of containers."""
    return os.path.abspath(shared["root"]) if shared["root"] else state_directory.default_root()


def box_of(shared: Shared, words: list[str]) -> Box:
    """The container that the first word names.  Raises ContainerNotFound, UsageError."""
    return state_directory.Box(root_of(shared), words[0]).load()


def warn(shared: Shared, sentences: list[str]) -> None:
    """Tell what is not as asked and is no error."""
    if sentences:
        from rootless.cli.oci import report as oci_report

        oci_report.warnings(sentences, shared)


def _manager_name(shared: Shared) -> str | None:
    found: str | None = shared["cgroup_manager"]
    return "systemd" if shared["systemd_cgroup"] else found


def make_wanted(given: Given, *, wait: bool = False) -> launcher.Wanted:
    """Options that create, run and exec share.  Raises UsageError."""
    if given.get("no_pivot"):
        raise UsageError("--no-pivot cannot be had: what is only chrooted can get out")
    count = given["preserve_fds"] or 0
    if count < 0 or count > 1000:
        raise UsageError(f"--preserve-fds {count} is not between 0 and 1000")
    for fd in range(3, 3 + count):
        # before anything of ours is open: what we open later must not be taken for the caller's
        try:
            os.fstat(fd)
        except OSError:
            raise UsageError(f"--preserve-fds {count}: descriptor {fd} is not open") from None
    return launcher.Wanted(
        console_socket=given["console_socket"] or "",
        pid_file=given["pid_file"] or "",
        preserve_fds=count,
        wait=wait,
        keyring=not given.get("no_new_keyring"),
    )


def _place(shared: Shared, bundle: Bundle, identifier: str) -> Callable[[int], str] | None:
    place = _cgroup(shared, bundle, identifier)
    rules = (bundle.config["linux"].get("resources") or {}).get("devices")
    if rules and bundle.of_host:
        from rootless.cgroups import devices

        if devices.restricts(rules):
            return devices.confining(place, rules)
    return place


def _cgroup(shared: Shared, bundle: Bundle, identifier: str) -> Callable[[int], str] | None:
    linux = bundle.config["linux"]
    asked = linux.get("resources")
    name = _manager_name(shared)
    if not asked and not linux.get("cgroupsPath") and name in (None, "disabled"):
        if name is None and os.path.isdir("/run/systemd/system"):
            pass  # a scope costs little there, and pause and kill -a need it
        else:
            return None
    from rootless.cgroups import oci as cgroups

    limits = cgroups.resources(asked)
    manager = cgroups.choose(name, limits)
    return cgroups.placing(manager, linux.get("cgroupsPath") or "", identifier, limits)


def _make(
    shared: Shared, given: Given, identifier: str, *, wait: bool, waits: bool = True
) -> tuple[Box, launcher.Process]:
    from rootless.cli.oci import signal_proxy
    from rootless.runtime.bundles import Bundle

    state_directory.check_id(identifier)
    wanted = make_wanted(given, wait=wait)
    bundle = Bundle(given["bundle"] or ".", given["config"] or "")
    warn(shared, bundle.told)
    place = _place(shared, bundle, identifier)
    signal_proxy.hold()
    box, lock = state_directory.make(root_of(shared), identifier)
    try:
        signal_proxy.release(ends=not wait)
        return box, lifecycle.create(box, bundle, wanted, place, waits=waits)
    except hooks.HookFailure:
        # runtime-spec, lifecycle steps 3 to 5: go on at step 12, whose end is poststop
        configured = box.record["config"]["hooks"].get("poststop")
        ended = {**box.state(), "status": "stopped"}
        _forget(box)
        warn(shared, hooks.run_all(configured, "poststop", ended))
        raise
    except BaseException:
        _forget(box)
        raise
    finally:
        lock.close()


def _forget(box: Box) -> None:
    lifecycle.signal(box, 9)
    if box.cgroup():
        _kill_all(box, 9)
    lifecycle.wait_end(box, 10)
    _remove_cgroup(box)
    try:
        for name in documents.names_in(box.directory):
            os.unlink(os.path.join(box.directory, name))
        os.rmdir(box.directory)
    except FileNotFoundError:
        pass  # somebody else has; what went wrong before is to be told


def _remove_cgroup(box: Box) -> None:
    path = box.cgroup()
    if path:
        from rootless.cgroups import tree

        tree.remove(path)


def create(shared: Shared, given: Given, words: list[str]) -> None:
    """Make it and leave it waiting."""
    _make(shared, given, words[0], wait=False)


def start(shared: Shared, given: Given, words: list[str]) -> None:
    """Let it go on."""
    box = box_of(shared, words)
    box.must_be("created")
    with box.lock():
        lifecycle.start(box.load())


def run(shared: Shared, given: Given, words: list[str]) -> int:
    """create, start, wait, delete."""
    from rootless.cli.oci.signal_proxy import Passing

    signals = None if given["detach"] else Passing()
    # in the foreground the process need not wait for us, which saves going back and forth: it ends
    # with its helper
    detach = given["detach"]
    box, process = _make(shared, given, words[0], wait=not detach, waits=detach)
    try:
        if process.waits:
            lifecycle.start(box)
        else:
            lifecycle.started(box)
    except BaseException:
        lifecycle.signal(box, 9)
        if not detach:
            os.waitpid(process.helper, 0)
        lifecycle.wait_end(box, 10)
        _delete(shared, box)
        raise
    if signals is None:
        return 0
    code = signals.wait(process.helper)
    if not given["keep"]:
        # where the helper was killed it is just about to end
        lifecycle.signal(box, 9)
        lifecycle.wait_end(box, 10)
        _delete(shared, box)
    return code


def state(shared: Shared, given: Given, words: list[str]) -> None:
    """Print it."""
    sys.stdout.write(documents.dumps(box_of(shared, words).state(), indent=True) + "\n")


def kill(shared: Shared, given: Given, words: list[str]) -> None:
    """Send a signal."""
    from rootless.engine.common import signals as common_signals

    box = box_of(shared, words)
    number = common_signals.number(words[1] if len(words) > 1 else "TERM")
    if given["all"]:
        _kill_all(box, number)
        return
    box.must_be("created", "running", "paused")
    lifecycle.signal(box, number)


def _kill_all(box: Box, number: int) -> None:
    path = box.cgroup()
    if number == 9 and path:
        from rootless.cgroups import tree

        if tree.kill(path):
            return
    lifecycle.signal_all(box, number)


def delete(shared: Shared, given: Given, words: list[str]) -> None:
    """Remove it."""
    if given["regex"]:
        raise UsageError("--regex cannot be had", hint="name each container")
    box = state_directory.Box(root_of(shared), words[0])
    try:
        lock = _lock_to_delete(box, given["force"])
    except ContainerNotFound:
        if not given["force"]:
            raise
        return
    with lock:
        try:
            box.load()
        except ContainerNotFound:
            if not given["force"]:
                raise
            # what a killed `create` left behind
            _forget(box)
            return
        status = box.status()
        if not box.record["pid"]:
            _forget(box)
            return
        if status != "stopped":
            if not given["force"] and status != "created":
                raise Conflict(
                    f'container "{box.id}" is {status}, not stopped',
                    hint="rootless-runtime kill it first, or delete --force",
                )
            lifecycle.signal(box, 9)
            _kill_all(box, 9)
            if not lifecycle.wait_end(box, 10):
                raise RuntimeFailure(f'container "{box.id}" does not end although it was killed')
        _delete(shared, box)


def _lock_to_delete(box: Box, force: bool) -> documents.Lock:
    """The lock, which whoever makes the container has meanwhile; by force that one is ended."""
    try:
        return box.lock(blocking=False)
    except BlockingIOError:
        pass
    try:
        making = box.load().status() == "creating"
    except ContainerNotFound:
        making = False
    if making and not force:
        raise Conflict(
            f'container "{box.id}" is being created',
            hint="rootless-runtime delete --force ends that",
        )
    if making:
        lifecycle.end_maker(box)
    return box.lock()


def _delete(shared: Shared, box: Box) -> None:
    # without a pid namespace of its own others may be left, and a cgroup goes only when it is empty
    if box.cgroup():
        _kill_all(box, 9)
        _remove_cgroup(box)
    warn(shared, lifecycle.remove(box))
