"""The same attempts through podman, crun and runc as they are installed.

podman is root of a user namespace with the caller's ids, which has a control group hierarchy of its
own: where versions 1 and 2 are mixed, it and crun start nothing.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable

from ways_in.hosts import own_host
from ways_in.stage import DEFAULT_CAPABILITIES, Told
from ways_in.ways import SOME, House

Lead = Callable[..., Told]

PODMAN = """
mount -t tmpfs none /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup || exit 125
for place in /run /var/cache /var/lib /dev/shm; do mount -t tmpfs none $place || exit 125; done
export XDG_RUNTIME_DIR=/run
p() {{ podman --root {base}/root --runroot /run/r --storage-driver vfs --cgroup-manager cgroupfs \
    --events-backend file "$@"; }}
p import -q {tar} ways >/dev/null || exit 125
"""

# a user again, who sees a hierarchy of version 2
USER = """
mount -t tmpfs none /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup || exit 125
exec unshare --user --map-user={uid} --map-group={gid} sh -c {script}
"""


def podman(house: House, script: str, stdin: str = "conf", lead: Lead | None = None) -> Told:
    """A script with `p`, led by the stage's caller."""
    house.stage.rooms = None
    base = house.place.base / "peer"
    base.mkdir(exist_ok=True)
    begin = PODMAN.format(base=base, tar=house.tar)
    words = "unshare --user --map-root-user --map-auto --mount --cgroup sh -c".split()
    try:
        if lead:
            return lead(*words[:1], *words[4:], begin + script)
        return house.stage.lead([*words, begin + script], stdin)
    finally:
        house.command("unshare", "rm", "-rf", base, code=None)


def run(house: House, *flags: str, stdin: str = "conf", caps: int = DEFAULT_CAPABILITIES,
        preserved: int = 0) -> Told:  # fmt: skip
    """`podman run FLAG... ways attack`."""
    words = [*house.stage.mounts(), *flags, "ways",
             *house.stage.attack(caps=caps, preserved=preserved)]  # fmt: skip
    return podman(house, f"p run --rm --cgroups disabled {shlex.join(words)}", stdin)


def beside_a_cloud(house: House) -> Told:
    """`podman run` with a network, on the host that the test made."""
    words = [*house.stage.mounts(), "--network", "slirp4netns", "ways",
             *house.stage.attack(port=8080)]  # fmt: skip
    script = f"p run --rm --cgroups disabled {shlex.join(words)}"
    return podman(house, script, lead=lambda *words: own_host(house.stage, *words))


BOX = """
p run -d --name box --cgroups disabled {words} >/dev/null </dev/null || exit 125
until [ -e {results}/lurk ]; do sleep 0.05; done
"""


def box(house: House, *flags: str) -> str:
    """The lines that start a container in which somebody looks at who enters."""
    words = [*house.stage.mounts(), *flags, "ways", *house.stage.lurk()]
    return BOX.format(words=shlex.join(words), results=house.stage.results)


NET = ("--network", "none")
END = "; status=$?; p rm -f -t 0 -a >/dev/null; exit $status"


def entering(house: House, *words: str, flags: tuple[str, ...] = NET, stdin: str = "conf") -> Told:
    """A verb of podman, while somebody looks."""
    return podman(house, box(house, *flags) + f"p {shlex.join(words)}" + END, stdin)


def attack(house: House, caps: int = DEFAULT_CAPABILITIES) -> list[str]:
    """The program's words."""
    return house.stage.attack(caps=caps)


STRONG = (*NET, "--cap-add", "ALL", "--security-opt", "seccomp=unconfined")
HEALTH = ("--health-interval", "disable")

PODMAN_WAYS: dict[str, Callable[[House], Told]] = {
    "run": lambda h: run(h, "--network", "slirp4netns"),
    "run, beside a cloud": beside_a_cloud,
    "run -i": lambda h: run(h, "-i", *NET),
    "run -it": lambda h: run(h, "-it", *NET, stdin="tty"),
    "run --privileged": lambda h: run(h, "--privileged", *NET, caps=-1),
    "run --cap-add ALL": lambda h: run(h, "--cap-add", "ALL", *NET, caps=-1),
    "run, no filter": lambda h: run(h, "--security-opt", "seccomp=unconfined", *NET),
    "run --network host": lambda h: run(h, "--network", "host"),
    "run --preserve-fds": lambda h: run(h, "--preserve-fds", "1", *NET, preserved=1),
    "exec": lambda h: entering(h, "exec", "box", *attack(h)),
    "exec -i": lambda h: entering(h, "exec", "-i", "box", *attack(h)),
    "exec -it": lambda h: entering(h, "exec", "-it", "box", *attack(h), stdin="tty"),
    "exec --privileged": lambda h: entering(h, "exec", "--privileged", "box", *attack(h, -1)),
    "exec, lurker has all capabilities": lambda h: entering(
        h, "exec", "box", *attack(h, -1), flags=STRONG
    ),
    "healthcheck run": lambda h: entering(
        h, "healthcheck", "run", "box",
        flags=(*NET, *HEALTH, "--health-cmd", shlex.join(attack(h))),
    ),
}  # fmt: skip


def runtime(house: House, name: str, *, enters: bool = False, creates: bool = False) -> Told:
    """crun or runc with the same bundle as `rootless-runtime`."""
    stage = house.stage
    some = {kind: list(SOME) for kind in ("bounding", "permitted", "effective")}
    path = (house.bundle(stage.lurk(), capabilities=some) if enters
            else house.bundle(stage.attack()))  # fmt: skip
    root = house.place.runtime / name
    program = f"{name} --root {root}" + (" --cgroup-manager disabled" if name == "crun" else "")
    if enters:
        script = f"""{program} run -d -b {path} x >/dev/null </dev/null 2>&1 || exit 125
            until [ -e {stage.results}/lurk ]; do sleep 0.05; done
            {program} exec x {shlex.join(stage.attack())}; status=$?
            {program} delete -f x; exit $status"""
    elif creates:
        script = f"""{program} create -b {path} x || exit 125
            {program} start x; until [ -e {stage.results}/out ]; do sleep 0.05; done
            {program} delete -f x"""
    else:
        script = f"exec {program} run -b {path} x"
    if name != "crun":
        return stage.lead(["sh", "-c", script])
    outer = USER.format(uid=os.getuid(), gid=os.getgid(), script=shlex.quote(script))
    return stage.lead(["unshare", "--user", "--map-root-user", "--mount", "--cgroup", "sh", "-c",
                       outer])  # fmt: skip


PEERS: dict[str, Callable[[House], Told]] = {
    **{f"podman {name}": way for name, way in PODMAN_WAYS.items()},
    "crun run": lambda h: runtime(h, "crun"),
    "crun exec": lambda h: runtime(h, "crun", enters=True),
    "crun create, start": lambda h: runtime(h, "crun", creates=True),
    "runc create, start": lambda h: runtime(h, "runc", creates=True),
    "runc run": lambda h: runtime(h, "runc"),
    "runc exec": lambda h: runtime(h, "runc", enters=True),
}
LURKING = {f"podman {name}" for name in PODMAN_WAYS if name.split()[0] in ("exec", "healthcheck")
           } | {"crun exec", "runc exec"}  # fmt: skip


def like(way: str) -> tuple[str, ...]:
    """The peers' ways that a way of ours is held against.

    What joins another container has none of its own: podman wants control groups for that, crun is
    refused the pid namespace, runc knows no user namespace to join.  It must hold what `run` holds.
    """
    if way in ("rootless-runtime exec", "rootless-runtime run, joins user and pid"):
        return ("crun exec", "runc exec")  # with the same capabilities
    if way == "rootless-runtime create, start":
        return ("crun create, start", "runc create, start")
    if way.startswith("rootless-runtime") or way == "startContainer hook":
        return ("crun run", "runc run")
    if way.startswith("run, beside a cloud"):
        return ("podman run, beside a cloud",)
    if way == "run -p, all capabilities":
        way = "run --cap-add ALL"
    if way.startswith("build RUN"):
        # a step is held against a container with what its flag gives
        way = {"build RUN --network=host": "run --network host",
               "build RUN --security=insecure": "run --privileged"}.get(way, "run -i")  # fmt: skip
    if f"podman {way}" in PEERS:
        return (f"podman {way}",)
    entering = way.startswith(("exec", "health")) or way.endswith(" exec")
    return ("podman exec -i",) if entering else ("podman run -i",)
