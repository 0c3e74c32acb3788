"""What the other verbs of `rootless-runtime` do, when a container is there: see actions.py."""

from __future__ import annotations

import os
import sys

from rootless import documents
from rootless.cli.oci.actions import box_of, make_wanted, root_of, warn
from rootless.errors import Conflict, RuntimeFailure, UsageError
from rootless.runtime import lifecycle, state_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.runtime.state_directory import Box

    Shared = dict[str, Json]
    Given = dict[str, Json]


def exec_(shared: Shared, given: Given, words: list[str]) -> int:
    """Run a further process."""
    from rootless.cli.oci.signal_proxy import Passing

    signals = None if given["detach"] else Passing()
    box = box_of(shared, words)
    if not given["ignore_paused"] and box.status() == "paused":
        raise Conflict(f'container "{box.id}" is paused', hint="rootless-runtime resume")
    process, told = _process(box, given, words[1:])
    warn(shared, told)
    wanted = make_wanted(given, wait=not given["detach"])
    cgroup, place = box.cgroup(), None
    if cgroup and given["cgroup"]:
        if ".." in given["cgroup"].split("/"):
            raise UsageError(f"--cgroup {given['cgroup']} leads out of the container's")
        cgroup = os.path.join(cgroup, given["cgroup"].strip("/"))
    if cgroup:
        from rootless.cgroups import exec_cgroup

        if exec_cgroup.must_be_asked(cgroup):
            path = box.cgroup()

            def place(pid: int) -> str:
                exec_cgroup.admit(path, pid)
                return ""

    made = lifecycle.execute(box, process, wanted, place, cgroup)
    return 0 if signals is None else signals.wait(made.helper)


def _process(box: Box, given: Given, command: list[str]) -> tuple[Json, list[str]]:
    from rootless.runtime import bundles, schema

    told: list[str] = []
    if given["process"]:
        try:
            process = documents.read(given["process"])
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise UsageError(f"cannot read {given['process']}: {reason}") from None
        except ValueError as error:
            raise UsageError(f"{given['process']} is not JSON: {error}") from None
        schema.check_process(process)
        bundles.refuse_labels(process)
        process.setdefault("user", {"uid": 0, "gid": 0})
        return bundles.without_unknown_capabilities(process, told), told
    if not command:
        raise UsageError("exec needs a command, or --process FILE")
    process = dict(box.record["config"]["process"])
    process.pop("consoleSize", None)
    process.update(args=command, terminal=given["tty"])
    if given["cwd"]:
        process["cwd"] = given["cwd"]
    process["env"] = [*(process.get("env") or ()), *given["env"]]
    for field, name in (("apparmorProfile", "apparmor"), ("selinuxLabel", "process_label")):
        if given[name]:
            process[field] = given[name]
    bundles.refuse_labels(process)
    if given["no_new_privs"]:
        process["noNewPrivileges"] = True
    _identity(process, given)
    schema.check_process(process)
    return bundles.without_unknown_capabilities(process, told), told


def _identity(process: Json, given: Given) -> None:
    user = dict(process.get("user") or {})
    if given["user"]:
        uid, _, gid = given["user"].partition(":")
        if not uid.isdigit() or (gid and not gid.isdigit()):
            raise UsageError(
                f'--user "{given["user"]}" is not UID[:GID]', hint="numbers, as 1000:100"
            )
        user.update(uid=int(uid), gid=int(gid or user.get("gid") or 0))
    groups = [*(user.get("additionalGids") or ())]
    for word in given["additional_gids"]:
        if not word.isdigit():
            raise UsageError(f'--additional-gids "{word}" is not a number')
        groups.append(int(word))
    user["additionalGids"] = groups
    process["user"] = user
    if given["cap"]:
        sets = dict(process.get("capabilities") or {})
        for name in ("bounding", "effective", "permitted"):
            sets[name] = sorted({*(sets.get(name) or ()), *given["cap"]})
        process["capabilities"] = sets


def ps(shared: Shared, given: Given, words: list[str]) -> int:
    """List processes: their host pids as JSON, or what ps(1) says of them."""
    box = box_of(shared, words)
    box.must_be("running", "paused", "created")
    pids = lifecycle.processes(box)
    if given["format"] == "json":
        sys.stdout.write(documents.dumps(pids) + "\n")
        return 0
    import subprocess

    listed = subprocess.run(
        ["ps", *(words[1:] or ["-ef"])], stdout=subprocess.PIPE, text=True, check=False
    ).stdout.splitlines()
    heading = listed[0].split() if listed else []
    column = heading.index("PID") if "PID" in heading else 1
    wanted = {str(pid) for pid in pids}
    rows = [line for line in listed[1:] if line.split()[column : column + 1] and
            line.split()[column] in wanted]  # fmt: skip
    sys.stdout.write("\n".join([*listed[:1], *rows]) + "\n")
    return 0


def list_(shared: Shared, given: Given, words: list[str]) -> None:
    """List containers."""
    found = state_directory.every(root_of(shared))
    if given["quiet"]:
        sys.stdout.write("".join(box.id + "\n" for box in found))
        return
    rows = [{"pid": 0, **box.state()} for box in found]
    if given["format"] == "json":
        sys.stdout.write(documents.dumps(rows) + "\n")
        return
    from rootless.cli import output

    titles = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    cells = [[str(row[name.lower()]) for name in titles] for row in rows]
    sys.stdout.write(output.table(titles, cells))


def _freeze(box: Box, on: bool) -> None:
    path = box.cgroup()
    if not path:
        raise RuntimeFailure(
            f'container "{box.id}" has no cgroup, so it cannot be frozen',
            hint="it needs a delegated cgroup v2 when it is created",
        )
    from rootless.cgroups import tree

    tree.freeze(path, on)


def pause(shared: Shared, given: Given, words: list[str]) -> None:
    """Freeze."""
    box = box_of(shared, words)
    box.must_be("running", "created")
    _freeze(box, True)


def resume(shared: Shared, given: Given, words: list[str]) -> None:
    """Thaw."""
    box = box_of(shared, words)
    box.must_be("paused")
    _freeze(box, False)


def update(shared: Shared, given: Given, words: list[str]) -> None:
    """Change limits."""
    box = box_of(shared, words)
    box.must_be("running", "created", "paused")
    from rootless.cgroups import oci as cgroups
    from rootless.cgroups import tree
    from rootless.runtime import schema

    table: Json = {}
    if given["resources"]:
        try:
            fd = given["resources"] == "-"
            table = documents.loads(sys.stdin.read()) if fd else documents.read(given["resources"])
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot read {given['resources']}: {error}") from None
        schema.RESOURCES(table, "linux.resources")
    for part, names in {
        "memory": {"limit": "memory", "swap": "memory_swap", "reservation": "memory_reservation"},
        "cpu": {"period": "cpu_period", "quota": "cpu_quota", "shares": "cpu_share",
                "cpus": "cpuset_cpus", "mems": "cpuset_mems"},
        "pids": {"limit": "pids_limit"},
        "blockIO": {"weight": "blkio_weight"},
    }.items():  # fmt: skip
        for field, name in names.items():
            if given[name] is not None:
                table.setdefault(part, {})[field] = given[name]
    wanted = cgroups.resources(table)
    path = box.cgroup()
    if not path:
        raise RuntimeFailure(f'container "{box.id}" has no cgroup, so it has no limits')
    memory = table.get("memory") or {}
    used = int(tree.get(f"{path}/memory.current") or 0)
    if memory.get("checkBeforeUpdate") and 0 <= (memory.get("limit") or -1) < used:
        raise Conflict(
            f"linux.resources.memory.limit: {memory['limit']} bytes, and {used} are in use",
            hint="without checkBeforeUpdate processes are killed until it fits",
        )
    tree.apply(path, wanted)


def spec(shared: Shared, given: Given, words: list[str]) -> None:
    """Write config.json."""
    from rootless.cli.oci import about

    path = os.path.join(given["bundle"] or ".", "config.json")
    text = documents.dumps(about.spec(given["rootless"] or os.geteuid() != 0), indent=True)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        raise Conflict(f"{path} exists already", hint="remove it first") from None
    with open(fd, "w", encoding="utf-8") as file:
        file.write(text + "\n")


def features(shared: Shared, given: Given, words: list[str]) -> None:
    """Print them."""
    from rootless.cli.oci import about

    sys.stdout.write(documents.dumps(about.features(), indent=True) + "\n")


def stats(shared: Shared, given: Given, words: list[str]) -> None:
    """Print statistics once."""
    events(shared, {"stats": True, "interval": None}, words)


def _seconds(text: str) -> float:
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    word = text.rstrip("hms")
    try:
        found = float(word) * units[text[len(word) :] or "s"]
    except (ValueError, KeyError):
        found = 0
    if not 0 < found < 1e6:
        raise UsageError(f'--interval "{text}" is no time', hint="as in 5s, 500ms or 1m")
    return found


def events(shared: Shared, given: Given, words: list[str]) -> None:
    """Print statistics, once or until it ends."""
    import time

    from rootless.cgroups import statistics

    box = box_of(shared, words)
    box.must_be("running", "paused")
    seconds = _seconds(given["interval"] or "5s")
    while True:
        path = box.cgroup()
        found = (
            statistics.of_cgroup(path)
            if path
            else statistics.of_processes(lifecycle.processes(box))
        )
        data = {
            "cpu": {"usage": {"total": found.cpu * 1000}},
            "memory": {"usage": {"usage": found.memory or 0, "limit": found.memory_limit or 0}},
            "pids": {"current": found.pids or 0, "limit": found.pids_limit or 0},
        }
        sys.stdout.write(documents.dumps({"type": "stats", "id": box.id, "data": data}) + "\n")
        sys.stdout.flush()
        if given["stats"]:
            return
        time.sleep(seconds)
        if not box.alive():
            return
