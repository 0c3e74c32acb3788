"""The ways in: each function is one, and has its column in the table.

A new way into a container (a verb, a flag that joins something, a program that is started inside)
gets a function here.  Scope: starting.  What is tried inside is the C program's.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import TREE, Command, Place
from ways_in.hosts import own_host
from ways_in.stage import DEFAULT_CAPABILITIES, Column, Stage, Told

from rootless.build import keys

NET = ("--network", "none")


class House:
    """The engine and the runtime on one stage, with an image and a bundle that hold the program."""

    def __init__(self, stage: Stage, command: Command, oci: list[str], image: str, tar: Path
                 ) -> None:  # fmt: skip
        self.stage, self.command, self.oci, self.image, self.tar = stage, command, oci, image, tar
        self.place: Place = command.place
        # as the engine makes it for a person
        self.place.data.chmod(0o700)

    # ------------------------------------------------- the engine

    def lead(self, *words: str, stdin: str = "conf") -> Told:
        """The engine's command, as the caller of the stage runs it."""
        return self.stage.lead([*self.command.words, *words], stdin)

    def run(self, *flags: str, stdin: str = "conf", caps: int = DEFAULT_CAPABILITIES,
            before: tuple[str, ...] = (), **told: str | int) -> Told:  # fmt: skip
        """`run --rm FLAG... IMAGE attack`."""
        return self.lead("run", "--rm", *self.stage.mounts(), *flags, self.image, *before,
                         *self.stage.attack(caps=caps, **told), stdin=stdin)  # fmt: skip

    def box(self, *flags: str, name: str = "box") -> None:
        """A container in which somebody looks at whoever enters."""
        self.command("run", "-d", "--name", name, *self.stage.mounts(), *flags, self.image,
                     *self.stage.lurk())  # fmt: skip
        self.stage.appears("lurk")

    def exec(self, *flags: str, stdin: str = "conf", caps: int = DEFAULT_CAPABILITIES,
             box: tuple[str, ...] = NET) -> Told:  # fmt: skip
        """`exec FLAG... box attack` in a container of its own."""
        self.box(*box)
        return self.lead("exec", *flags, "box", *self.stage.attack(caps=caps), stdin=stdin)

    def python(self, code: str) -> Told:
        """A program that uses the library."""
        begin = f"import sys; sys.path[:0] = [{str(TREE)!r}]; import rootless; "
        return self.stage.lead([sys.executable, "-c", begin + code])

    def join(self, *flags: str, box: tuple[str, ...] = NET, caps: int = DEFAULT_CAPABILITIES
             ) -> Told:  # fmt: skip
        """`run` of a container that joins something of one in which somebody looks."""
        self.box(*box)
        return self.run(*flags, caps=caps)

    # ------------------------------------------------- the runtime

    def bundle(self, args: list[str], hook: list[str] | None = None, *, name: str = "bundle",
               joins: tuple[str, ...] = (), **process: Any) -> Path:  # fmt: skip
        """A bundle whose process has these words.  Namespaces that it joins are /proc/@PID@'s."""
        path = self.place.base / name
        if not path.exists():
            (path / "rootfs").mkdir(parents=True)
            subprocess.run(["tar", "-C", path / "rootfs", "-xf", self.tar, "--no-same-owner"],
                           check=True)  # fmt: skip
            for name in ("proc", "sys", "dev", "results", "readonly"):
                (path / "rootfs" / name).mkdir()
            made = [*self.oci, "spec", "--rootless"]
            subprocess.run(made, cwd=path, check=True, env=self.place.env)
        self.stage.rooms = None
        config = json.loads((path / "config.json").read_text())
        # what the peers of Debian know
        config["ociVersion"] = "1.0.2"
        config["root"]["readonly"] = False
        config["mounts"] = [m for m in config["mounts"]
                            if m["destination"] not in ("/results", "/readonly")]  # fmt: skip
        for source, options in ((self.stage.results, ["rbind"]),
                                (self.stage.readonly, ["rbind", "ro"])):  # fmt: skip
            config["mounts"].append({"destination": f"/{source.name}", "type": "bind",
                                     "source": str(source), "options": options})  # fmt: skip
        config["process"].update({"args": args, "terminal": False, **process})
        for one in config["linux"]["namespaces"]:
            if one["type"] in joins:
                one["path"] = f"/proc/@PID@/ns/{one['type']}"
        if "user" in joins:
            for key in ("uidMappings", "gidMappings"):
                config["linux"].pop(key, None)
        config.pop("hooks", None)
        if hook:
            config["hooks"] = {"startContainer": [{"path": hook[0], "args": hook}]}
        (path / "config.json").write_text(json.dumps(config))
        return path

    def runtime(self, *words: str | Path, stdin: str = "conf") -> Told:
        """The runtime's command, as the caller of the stage runs it."""
        begin = [*self.oci, "--root", str(self.place.runtime / "oci")]
        return self.stage.lead([*begin, *map(str, words)], stdin)

    def quietly(self, *words: str | Path, check: bool = True) -> None:
        """The runtime's command beside the stage."""
        said = self.place.base / "said"  # no pipe: a container would keep it open
        with open(said, "wb") as file:
            done = subprocess.run(
                [*self.oci, "--root", str(self.place.runtime / "oci"), *map(str, words)],
                env=self.place.env, stdin=subprocess.DEVNULL, stdout=file, stderr=file, timeout=60,
            )  # fmt: skip
        assert not check or done.returncode == 0, said.read_text()

    def column(self, way: Way, *, lurking: bool) -> Column:
        """What a way lets through; nothing that it made is left for the next one."""
        try:
            return self.stage.column(lambda _: way(self), lurking=lurking)
        finally:
            self.close()

    def close(self) -> None:
        """Nothing of the runtime and of the engine stays."""
        left = self.command("ps", "-aq").stdout.split()
        if left:
            self.command("rm", "-f", *left)
        for name in ("lurk", "once", "out"):
            (self.stage.results / name).unlink(missing_ok=True)
        root = self.place.runtime / "oci"
        for one in sorted(root.iterdir()) if root.exists() else ():
            self.quietly("delete", "--force", one.name, check=False)


Way = Callable[[House], Told]
WAYS: dict[str, Way] = {}
LURKING: set[str] = set()
SAMPLE: set[str] = set()
SINGLE: set[str] = set()


def way(name: str, *, lurking: bool = False, sample: bool = False, single: bool = False
        ) -> Callable[[Way], Way]:  # fmt: skip
    """`lurking`: somebody is inside before.  `sample`: also in the daily run.  `single`: also as a
    user without subordinate ids."""

    def add(function: Way) -> Way:
        WAYS[name] = function
        for yes, names in ((lurking, LURKING), (sample, SAMPLE), (single, SINGLE)):
            if yes:
                names.add(name)
        return function

    return add


# ------------------------------------------------- run


@way("run", sample=True, single=True)
def _run(house: House) -> Told:
    return house.run()


@way("run -i")
def _run_i(house: House) -> Told:
    return house.run("-i", *NET)


@way("run -it", sample=True, single=True)
def _run_it(house: House) -> Told:
    return house.run("-it", *NET, stdin="tty")


@way("run, on a terminal")
def _run_on_terminal(house: House) -> Told:
    return house.run(*NET, stdin="tty")


@way("run -d", sample=True)
def _run_d(house: House) -> Told:
    told = house.lead("run", "-d", *NET, *house.stage.mounts(), house.image,
                      *house.stage.attack(caps=DEFAULT_CAPABILITIES))  # fmt: skip
    house.stage.out()
    return told


@way("run -d, restarted by the monitor", sample=True, single=True)
def _restarted(house: House) -> Told:
    attack = shlex.join(house.stage.attack(caps=DEFAULT_CAPABILITIES))
    once = "/results/once"
    script = f"if [ -e {once} ]; then {attack}; exit 0; fi; : >{once}; exit 1"
    told = house.lead("run", "-d", "--restart", "on-failure:1", *NET, *house.stage.mounts(),
                      house.image, "sh", "-c", script)  # fmt: skip
    house.stage.out()
    return told


@way("run --init -u")
def _run_init(house: House) -> Told:
    return house.run("--init", "-u", "1000:1000", *NET, caps=0)


@way("run --ulimit nproc")
def _run_nproc(house: House) -> Told:
    return house.run("--ulimit", "nproc=64:64", *NET, pids=64)


@way("run --sdnotify container", sample=True)
def _run_notify(house: House) -> Told:
    """A service that says itself when it is ready: a socket of the monitor's is inside."""
    return house.stage.lead(["env", f"NOTIFY_SOCKET={house.stage.notify}", *house.command.words,
                             "run", "--rm", "--sdnotify", "container", *NET,
                             *house.stage.mounts(), house.image,
                             *house.stage.attack(caps=DEFAULT_CAPABILITIES)])  # fmt: skip


@way("run --preserve-fds")
def _run_preserve(house: House) -> Told:
    return house.run("--preserve-fds", "1", *NET, preserved=1)


@way("run --privileged", single=True)
def _run_privileged(house: House) -> Told:
    return house.run("--privileged", *NET, caps=-1)


@way("run --cap-add ALL")
def _run_caps(house: House) -> Told:
    return house.run("--cap-add", "ALL", *NET, caps=-1)


@way("run, no filter", sample=True, single=True)
def _run_unconfined(house: House) -> Told:
    return house.run("--security-opt", "seccomp=unconfined", *NET)


@way("run --network host")
def _run_host_network(house: House) -> Told:
    return house.run("--network", "host")


def named(house: House) -> tuple[str, str]:
    """A network with a name."""
    house.command("network", "create", "--ipv6", "ways")
    return "--network", "ways"


@way("run --network NAME", sample=True, single=True)
def _run_named_network(house: House) -> Told:
    return house.run(*named(house))


@way("run --cap-add ALL, on a named network")
def _run_named_network_caps(house: House) -> Told:
    return house.run(*named(house), "--cap-add", "ALL", caps=-1)


@way("run --network container:, on a named network", lurking=True)
def _join_named_network(house: House) -> Told:
    return house.join("--network", "container:box", box=named(house))


@way("run --userns keep-id", sample=True)
def _run_keep_id(house: House) -> Told:
    return house.run("--userns", "keep-id", *NET, caps=-1)


@way("run --userns auto")
def _run_auto(house: House) -> Told:
    house.place.data.chmod(0o711)  # which it asks for
    return house.run("--userns", "auto", *NET)


@way("run --userns nomap")
def _run_nomap(house: House) -> Told:
    house.place.data.chmod(0o711)  # which it asks for
    return house.run("--userns", "nomap", *NET)


@way("run --runtime crun")
def _run_crun(house: House) -> Told:
    return house.run("--runtime", "crun", *NET)


@way("run --runtime runc")
def _run_runc(house: House) -> Told:
    return house.run("--runtime", "runc", *NET)


# ------------------------------------------------- exec


@way("exec", lurking=True, single=True)
def _exec(house: House) -> Told:
    return house.exec()


@way("exec -i", lurking=True, sample=True, single=True)
def _exec_i(house: House) -> Told:
    return house.exec("-i")


@way("exec -it", lurking=True, sample=True)
def _exec_it(house: House) -> Told:
    return house.exec("-it", stdin="tty")


@way("exec -i, on a terminal", lurking=True, sample=True)
def _exec_on_terminal(house: House) -> Told:
    return house.exec("-i", stdin="tty")


@way("exec -d", lurking=True)
def _exec_d(house: House) -> Told:
    told = house.exec("-d")
    house.stage.out()
    return told


@way("exec -u", lurking=True)
def _exec_u(house: House) -> Told:
    return house.exec("-u", "1000:1000", caps=0)


@way("exec --privileged", lurking=True, single=True)
def _exec_privileged(house: House) -> Told:
    return house.exec("--privileged", caps=-1)


@way("exec, lurker has all capabilities", lurking=True, sample=True, single=True)
def _exec_strong(house: House) -> Told:
    return house.exec(box=(*NET, "--cap-add", "ALL", "--security-opt", "seccomp=unconfined"),
                      caps=-1)  # fmt: skip


@way("exec, with keep-id", lurking=True)
def _exec_keep_id(house: House) -> Told:
    return house.exec(box=(*NET, "--userns", "keep-id"), caps=-1)


@way("healthcheck run", lurking=True, sample=True, single=True)
def _healthcheck(house: House) -> Told:
    command = shlex.join(house.stage.attack(caps=DEFAULT_CAPABILITIES))
    house.box(*NET, "--health-cmd", command, "--health-interval", "disable", "--health-timeout",
              "60s")  # fmt: skip
    return house.lead("healthcheck", "run", "box")


@way("health check by the monitor", lurking=True)
def _health(house: House) -> Told:
    command = shlex.join(house.stage.attack(caps=DEFAULT_CAPABILITIES))
    told = house.lead("run", "-d", "--name", "box", *NET, *house.stage.mounts(), "--health-cmd",
                      command, "--health-interval", "1s", "--health-timeout", "60s", house.image,
                      *house.stage.lurk())  # fmt: skip
    house.stage.out()
    return told


# ------------------------------------------------- the library


@way("library run", single=True)
def _library_run(house: House) -> Told:
    volumes = [word for word in house.stage.mounts() if word != "-v"]
    words = house.stage.attack(caps=DEFAULT_CAPABILITIES)
    return house.python(
        f"rootless.Engine().containers.run({house.image!r}, {words!r}, volume={volumes!r}, "
        "network='none')"
    )


@way("library exec", lurking=True, sample=True, single=True)
def _library_exec(house: House) -> Told:
    house.box(*NET)
    words = house.stage.attack(caps=DEFAULT_CAPABILITIES)
    return house.python(f"rootless.Engine().containers.get('box').exec({words!r})")


# ------------------------------------------------- build


def build(house: House, *flags: str, run: str = "", stdin: str = "conf",
          caps: int = DEFAULT_CAPABILITIES) -> Told:  # fmt: skip
    """`build` whose only step is the program.  A step has nothing of the host's, so two caches are
    made in which it finds the directories of the stage."""
    shown = " ".join(
        f"--mount=type=cache,id=ways-{one.name},target=/{one.name}{options}"
        for one, options in ((house.stage.results, ""), (house.stage.readonly, ",readonly"))
    )
    context = house.place.work / "context"
    context.mkdir(exist_ok=True)
    dockerfile = context / "Dockerfile"
    dockerfile.write_text(f"FROM {house.image}\nRUN {shown} true\n")
    house.command("build", "-q", "--network", "none", context)
    for one in (house.stage.results, house.stage.readonly):
        (cache,) = house.place.data.glob(f"build/*/caches/{keys.of_cache(f'ways-{one.name}')}/fs")
        if not cache.is_symlink():  # the column before this one may have been a build as well
            cache.rmdir()
            cache.symlink_to(one)
    words = json.dumps(house.stage.attack(caps=caps))
    dockerfile.write_text(f"FROM {house.image}\nRUN {shown} {run} {words}\n")
    return house.lead("build", "-q", "--no-cache", *flags, str(context), stdin=stdin)


@way("build RUN", sample=True, single=True)
def _build(house: House) -> Told:
    return build(house, *NET)


@way("build RUN, on a terminal")
def _build_on_terminal(house: House) -> Told:
    return build(house, stdin="tty")


@way("build RUN --network=host")
def _build_host_network(house: House) -> Told:
    return build(house, "--allow", "network.host", run="--network=host")


@way("build RUN --security=insecure", single=True)
def _build_insecure(house: House) -> Told:
    return build(house, *NET, "--allow", "security.insecure", run="--security=insecure", caps=-1)


# ------------------------------------------------- the runtime

SOME = ("CAP_CHOWN", "CAP_KILL", "CAP_SYS_PTRACE", "CAP_SYS_ADMIN")


@way("rootless-runtime run", sample=True, single=True)
def _runtime_run(house: House) -> Told:
    return house.runtime("run", "-b", house.bundle(house.stage.attack()), "c")


@way("rootless-runtime run, no_new_privs", sample=True)
def _runtime_nnp(house: House) -> Told:
    capabilities = {"bounding": list(SOME), "permitted": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"]}
    bundle = house.bundle(house.stage.attack(caps=1), noNewPrivileges=True,
                          capabilities=capabilities)  # fmt: skip
    return house.runtime("run", "-b", bundle, "c")


@way("rootless-runtime run --preserve-fds")
def _runtime_preserve(house: House) -> Told:
    bundle = house.bundle(house.stage.attack(preserved=1))
    return house.runtime("run", "--preserve-fds", "1", "-b", bundle, "c")


@way("rootless-runtime create, start", single=True)
def _runtime_start(house: House) -> Told:
    told = house.runtime("create", "-b", house.bundle(house.stage.attack()), "c")
    house.quietly("start", "c")
    house.stage.out()
    return told


@way("rootless-runtime exec", lurking=True, sample=True, single=True)
def _runtime_exec(house: House) -> Told:
    every = {"bounding": list(SOME), "permitted": list(SOME), "effective": list(SOME)}
    house.quietly("create", "-b", house.bundle(house.stage.lurk(), capabilities=every), "c")
    house.quietly("start", "c")
    house.stage.appears("lurk")
    return house.runtime("exec", "c", *house.stage.attack())


# a container in which somebody looks, and one that joins its namespaces
JOINING = """
pids={base}/pid
{program} create --pid-file $pids -b {lurking} x >/dev/null 2>&1 </dev/null || exit 125
{program} start x
until [ -e {results}/lurk ]; do sleep 0.05; done
sed -i "s/@PID@/$(cat $pids)/g" {joining}/config.json
{program} run -b {joining} y; status=$?
{program} delete -f x; exit $status
"""


def joining_script(house: House, program: str) -> str:
    """For a shell: two bundles of which one joins the other's user and pid namespaces."""
    every = {kind: list(SOME) for kind in ("bounding", "permitted", "effective")}
    lurking = house.bundle(house.stage.lurk(), capabilities=every)
    joining = house.bundle(house.stage.attack(), name="joining", joins=("user", "pid"),
                           capabilities=every)  # fmt: skip
    return JOINING.format(program=program, lurking=lurking, joining=joining,
                          base=house.stage.base, results=house.stage.results)  # fmt: skip


@way("rootless-runtime run, joins user and pid", lurking=True)
def _runtime_joins(house: House) -> Told:
    program = shlex.join([*house.oci, "--root", str(house.place.runtime / "oci")])
    return house.stage.lead(["sh", "-c", joining_script(house, program)])


@way("startContainer hook", sample=True, single=True)
def _hook(house: House) -> Told:
    bundle = house.bundle(["true"], hook=house.stage.attack(caps=-1))
    return house.runtime("run", "-b", bundle, "c")


# ------------------------------------------------- what is joined

PTRACE = ("--cap-add", "SYS_PTRACE")


@way("run --network container:", lurking=True)
def _join_network(house: House) -> Told:
    return house.join("--network", "container:box", box=())


@way("run --ipc container:", lurking=True)
def _join_ipc(house: House) -> Told:
    return house.join("--ipc", "container:box", *NET, box=(*NET, "--ipc", "shareable"))


@way("run --pid container:", lurking=True, sample=True, single=True)
def _join_pid(house: House) -> Told:
    return house.join("--pid", "container:box", *NET)


@way("run --userns container:", lurking=True)
def _join_user(house: House) -> Told:
    return house.join("--userns", "container:box", *NET)


@way("run --pid --userns container:, SYS_PTRACE", lurking=True, sample=True)
def _join_both(house: House) -> Told:
    caps = DEFAULT_CAPABILITIES | 1 << 19
    return house.join("--pid", "container:box", "--userns", "container:box", *PTRACE, *NET,
                      box=(*PTRACE, *NET), caps=caps)  # fmt: skip


def plain(stage: Stage, *, pretend: bool = False) -> Told:
    """No container at all: the program beside the stage, on the host."""
    stage.rooms = stage.results
    standin = stage.base / "stand-in"
    words = stage.attack(stage.attack_program, results=str(stage.results),
                         readonly=str(stage.readonly), caps=0, pids=20,
                         rootfs=str(stage.results),
                         **({"prefix": str(standin)} if pretend else {}))  # fmt: skip
    if pretend:
        words.append("pretend=1")
        for name in STAND_INS:
            path = Path(f"{standin}{name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return stage.lead(words, stdin="tty" if pretend else "conf")


@way("run, beside a cloud", sample=True)
def _beside_a_cloud(house: House) -> Told:
    """The host's network has the address at which a cloud tells its machines secrets."""
    return _on_a_host(house, "--network", "slirp4netns")


@way("run, beside a cloud, allow_link_local")
def _beside_an_open_cloud(house: House) -> Told:
    return _on_a_host(house, "--network", "slirp4netns:allow_link_local=true")


@way("run -p, all capabilities")
def _publishes(house: House) -> Told:
    """With a proxy in its network that has sockets of the host, and all rights over it."""
    return _on_a_host(house, "-p", "7070:7070", "-p", "7070:7070/udp", "--cap-add", "ALL", caps=-1)


def _on_a_host(house: House, *options: str, caps: int = 0) -> Told:
    given = {"caps": caps} if caps else {}
    words = [*house.command.words, "run", "--rm", *options,
             *house.stage.mounts(), house.image,
             *house.stage.attack(port=8080, **given)]  # fmt: skip
    return own_host(house.stage, *words)


@way("run --network NAME, beside a cloud")
def _named_beside_a_cloud(house: House) -> Told:
    house.command("network", "create", "ways")
    words = [*house.command.words, "run", "--rm", "--network", "ways",
             *house.stage.mounts(), house.image, *house.stage.attack(port=8080)]  # fmt: skip
    return own_host(house.stage, *words)


# files of a host that its root may write to
STAND_INS = tuple(
    """/proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /sys/kernel/uevent_helper
    /proc/sys/vm/overcommit_memory /proc/sys/fs/file-max /proc/sys/kernel/threads-max
    /proc/sys/kernel/dmesg_restrict /proc/sys/dev/tty/legacy_tiocsti /proc/sysrq-trigger
    /proc/irq/default_smp_affinity /proc/sys/fs/binfmt_misc/register /sys/power/state
    /sys/kernel/mm/transparent_hugepage/enabled /sys/devices/system/cpu/cpu1/online
    /sys/kernel/security/apparmor/.load /dev/kmsg /proc/sys/kernel/hostname /dev/tty0 /dev/mem
    /sys/fs/cgroup/cgroup.procs /proc/self/oom_score_adj /proc/self/timens_offsets""".split()
)
