"""`top`: the processes of a container, read from /proc."""

from __future__ import annotations

import os

from rootless.errors import Conflict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.container import Container


def pids(pid: int) -> list[int]:
    """Host pids of all processes in the pid namespace of `pid`, or its descendants where that
    namespace is the host's."""
    try:
        wanted = os.stat(f"/proc/{pid}/ns/pid").st_ino
        shared = wanted == os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return []
    found = []
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            if shared:
                with open(f"/proc/{name}/stat", "rb") as file:
                    text = file.read()
                parent = int(text[text.rindex(b")") + 2 :].split()[1])
                children.setdefault(parent, []).append(int(name))
            elif os.stat(f"/proc/{name}/ns/pid").st_ino == wanted:
                found.append(int(name))
        except OSError:
            continue
    if shared:
        queue = [pid]
        while queue:
            one = queue.pop()
            found.append(one)
            queue += children.get(one, ())
    return sorted(found)


def top(container: Container, arguments: list[str]) -> Json:
    """Rows as `ps -ef` has them; `arguments` choose other columns as in `top C pid,comm`."""
    import pwd
    import time

    state = container.state()
    if not state.pid:
        raise Conflict(
            f"the container {container.name} is not running",
            hint=f"rootless start {container.name}",
        )
    ticks = os.sysconf("SC_CLK_TCK")
    boot = time.time() - float(open("/proc/uptime").read().split()[0])  # noqa: SIM115
    rows = []
    for pid in pids(container.process()[0]):
        try:
            row = _row(pid, ticks, boot, pwd)
        except OSError:
            continue
        rows.append(row)
    titles = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    wanted = [
        word.upper() for part in arguments for word in part.replace("-o", "").split(",") if word
    ]
    names = {"USER": "UID", "ARGS": "CMD", "COMMAND": "CMD", "COMM": "CMD"}
    columns = [names.get(word, word) for word in wanted]
    if columns and all(one in titles for one in columns):
        keep = [titles.index(one) for one in columns]
        return {"Titles": columns, "Processes": [[row[i] for i in keep] for row in rows]}
    return {"Titles": titles, "Processes": rows}


def _row(pid: int, ticks: int, boot: float, pwd: object) -> list[str]:
    import time

    with open(f"/proc/{pid}/stat", "rb") as file:
        text = file.read()
    fields = text[text.rindex(b")") + 2 :].split()
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        command = file.read().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
    if not command:
        command = (
            "[" + text[text.index(b"(") + 1 : text.rindex(b")")].decode(errors="replace") + "]"
        )
    uid = os.stat(f"/proc/{pid}").st_uid
    try:
        user = pwd.getpwuid(uid).pw_name  # type: ignore[attr-defined]
    except KeyError:
        user = str(uid)
    started = boot + int(fields[19]) / ticks
    seconds = (int(fields[11]) + int(fields[12])) // ticks
    used = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    tty = "?" if fields[4] == b"0" else "pts"
    when = time.strftime("%H:%M", time.localtime(started))
    return [user, str(pid), fields[1].decode(), "0", when, tty, used, command]
