"""`top`: the processes of a container, read from /proc."""

from __future__ import annotations

import os

from rootless.errors import Conflict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.containers.ref import ContainerRef


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


def top(container: ContainerRef, arguments: list[str]) -> Json:
    """Rows as `ps -ef` has them; `arguments` choose other columns.

    Options of ps(1) are `top_columns`, which tells what the host sees; podman's descriptors are
    `top_inside`, which tells what the container sees.
    """
    from rootless.engine.containers import top_columns, top_inside

    as_podman = top_inside.is_asked(arguments)
    wanted = (top_inside if as_podman else top_columns).wanted(arguments)
    state = container.state()
    if not state.pid:
        raise Conflict(
            f"the container {container.name} is not running",
            hint=f"rootless start {container.name}",
        )
    inside = top_inside.Inside(container) if as_podman else None
    rows = []
    for pid in pids(container.process()[0]):
        try:
            if inside:
                rows.append(top_inside.row(pid, wanted, inside))
            else:
                rows.append(top_columns.row(pid, wanted))
        except OSError:
            continue  # it has ended in the meantime
    return {"Titles": [title for _, title in wanted], "Processes": rows}
