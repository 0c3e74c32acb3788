"""Slurm itself, as Debian packages it, with this runtime in its oci.conf: munged, slurmctld and
slurmd run as the person, with the person's own id, in namespaces that have nothing but a loopback.
What docs/runtime.md shows as oci.conf is what is run here."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import TREE, Place

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.usefixtures("everyone")]

CONFIGURATION = """
ClusterName=test
SlurmctldHost=localhost
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={base}/munge.socket
SlurmctldPort=6817
SlurmdPort=6818
StateSaveLocation={base}/state
SlurmdSpoolDir={base}/spool
SlurmctldPidFile={base}/slurmctld.pid
SlurmdPidFile={base}/slurmd.pid
SlurmctldLogFile={base}/slurmctld.log
SlurmdLogFile={base}/slurmd.log
SlurmdDebug=debug
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
KillWait=3
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName=localhost CPUs=2
PartitionName=all Nodes=localhost Default=YES State=UP MaxTime=INFINITE
"""

# in namespaces of its own and under its own id again, without privileges: as a plain user
NAMESPACES = """
# Slurm asks for addresses with AI_ADDRCONFIG, for which 127.0.0.1 does not count
hostname localhost && ip addr add 192.0.2.1/32 dev lo && ip link set lo up || exit 1
exec unshare --user --map-user={uid} --map-group={gid} sh {base}/inside
"""

INSIDE = """
cd {base}; export SLURM_CONF={base}/slurm.conf XDG_RUNTIME_DIR={base}/run
# directories of the host's root belong to nobody here, which munged distrusts
munged --foreground --force --key-file {base}/munge.key --socket {base}/munge.socket \
    --num-threads 2 \
    --pid-file {base}/munge.pid --log-file {base}/munge.log --seed-file {base}/munge.seed \
    >munged.out 2>&1 &
slurmctld -D -i >slurmctld.out 2>&1 &
slurmd -D >slurmd.out 2>&1 &
until_() {{ tries=0; until eval "$1" || [ $((tries += 1)) -gt 600 ]; do sleep 0.1; done; }}
until_ 'sinfo -h -o %t 2>/dev/null | grep -qx idle'
bundle={base}/bundle
{commands}
until_ '! ps -e -o args= | grep -q "^slurmstepd"'
echo left; ls {base}/spool | grep oci-; ls $XDG_RUNTIME_DIR/rootless/runtime
# the daemons, their helper, this shell and ps itself may be there
ps -e -o args= | grep -vE '^(munged|slurmctld|slurmd|: slurmscriptd|ps|sh|grep) ?'
exit 0  # the first process here; the kernel ends the others
"""


class Cluster:
    """One node, and a script that is run beside its daemons."""

    def __init__(self, place: Place, oci_entry: list[str], busybox: Path) -> None:
        self.place = place
        self.base = place.base / "slurm"
        for name in ("state", "spool", "run", "bin"):
            (self.base / name).mkdir(parents=True)
        self.calls = self.base / "calls"
        quoted = " ".join(f"'{word}'" for word in oci_entry)
        runtime = self.base / "bin/rootless-runtime"
        runtime.write_text(f'#!/bin/sh\necho "$@" >>{self.calls}\nexec {quoted} "$@"\n')
        runtime.chmod(0o755)
        self.key = self.base / "munge.key"
        self.key.write_bytes(os.urandom(128))
        self.key.chmod(0o600)
        names = {"user": pwd.getpwuid(os.getuid()).pw_name, "base": self.base}
        (self.base / "slurm.conf").write_text(CONFIGURATION.format(**names))
        self.bundle(busybox)

    def bundle(self, busybox: Path) -> None:
        """What `--container` names: busybox, and what `spec --rootless` writes."""
        tools = self.base / "bundle/rootfs/bin"
        tools.mkdir(parents=True)
        shutil.copy(busybox, tools / "busybox")
        for name in ("sh", "cat", "id", "sleep", "echo", "ls"):
            (tools / name).symlink_to("busybox")
        subprocess.run([self.base / "bin/rootless-runtime", "spec", "--rootless"], check=True,
                       cwd=tools.parent.parent, env=self.place.env)  # fmt: skip

    def __call__(self, patterns: str, commands: str) -> list[str]:
        """Lines that the commands print; fails when Slurm or the containers leave anything."""
        found = patterns.replace("rootless-runtime", f"{self.base}/bin/rootless-runtime")
        (self.base / "oci.conf").write_text(found)
        (self.base / "inside").write_text(INSIDE.format(base=self.base, commands=commands))
        script = NAMESPACES.format(base=self.base, uid=os.getuid(), gid=os.getgid())
        words = ["unshare", "--user", "--map-root-user", "--net", "--uts", "--ipc", "--mount",
                 "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script]  # fmt: skip
        done = subprocess.run(words, env=self.place.env, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=240)  # fmt: skip
        logs = [path.read_text()[-3000:] for path in sorted(self.base.glob("slurm*.log"))]
        self.said = "\n".join([done.stdout, *logs])
        lines, _, left = done.stdout.partition("left\n")
        assert left.strip() == "", self.said
        return lines.splitlines()

    def called(self, verb: str) -> bool:
        """Whether the runtime was called for this."""
        return any(line.startswith(f"{verb} ") for line in self.calls.read_text().splitlines())


@pytest.fixture
def cluster(place: Place, oci_entry: list[str], busybox: Path) -> Cluster:
    return Cluster(place, oci_entry, busybox)


def documented(number: int) -> str:
    """An oci.conf of docs/runtime.md."""
    text = (TREE / "docs/runtime.md").read_text()
    found: list[str] = re.findall(r"```\n(RunTimeQuery.*?)```", text, re.DOTALL)
    return found[number]


def test_run(cluster: Cluster, entry: list[str], busybox_tar: Path) -> None:
    quoted = " ".join(f"'{word}'" for word in entry)
    lines = cluster(
        documented(0),
        f"""
            srun --container=$bundle sh -c 'echo job $SLURM_JOB_ID; id -u; exit 3'; echo one $?
            echo words | srun --container=$bundle cat
            srun --container=$bundle nosuch; echo none $?
            printf '%s\\n' '#!/bin/sh' 'echo in the script; exit 4' |
                sbatch --quiet --wait --container=$bundle -o out
            echo batch $?; cat out
            srun --container=$bundle sh -c 'trap "echo bye; exit 5" TERM; echo up
                while :; do sleep 0.1; done' >two 2>&1 &
            until_ 'grep -q up two'; {cluster.base}/bin/rootless-runtime list -q
            scancel -n sh; wait $!; echo two $?; grep bye two
            # the first process of a pid namespace does not hear SIGTERM
            srun --container=$bundle sh -c 'echo up; sleep 1000' >three 2>&1 &
            until_ 'grep -q up three'; scancel -n sh; wait $!; grep -h 'error' three
            # no container of Slurm's: the engine, which has the job's own cgroup
            {quoted} import {busybox_tar} bb >/dev/null
            srun -n2 {quoted} run --rm --network none bb sh -c 'echo task of two; exit 6'
            echo engine $?
        """,
    )  # fmt: skip
    text = "\n".join(line for line in lines if not line.startswith(("srun:", "slurmstepd")))
    assert re.match(r"job \d+\n0\none 3\nwords\n", text), cluster.said
    for said in (
        'error: exec: "nosuch": executable file not found in $PATH', "\nnone 127\n",
        "\nbatch 4\nin the script\n", "\ntwo 5\nbye\n",
        "task of two\ntask of two\n", "engine 6",
    ):  # fmt: skip
        assert said in text, f"{said!r}\n\n{text}\n\n{cluster.said}"
    assert re.search(r"^localhost\.\w[\w-]*\.\d+\.0\.0$", text, re.MULTILINE), cluster.said
    assert all(cluster.called(verb) for verb in ("run", "state", "delete"))


def test_create_and_start(cluster: Cluster) -> None:
    """The two halves.  Slurm 22.05 reads what `create` writes to its end, with any runtime, so the
    container must write elsewhere."""
    patterns = documented(1).replace("/var/log/slurm-containers", str(cluster.base))
    lines = cluster(
        patterns,
        """
            srun --container=$bundle sh -c 'echo job $SLURM_JOB_ID; id -u; exit 3'; echo one $?
            cat 1.0.0.out
        """,
    )
    text = "\n".join(line for line in lines if not line.startswith(("srun:", "slurmstepd")))
    # what `start` ended with
    assert text == "one 0\njob 1\n0", cluster.said
    assert all(cluster.called(verb) for verb in ("create", "start", "state", "delete"))
