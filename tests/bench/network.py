#!/usr/bin/python3
"""How fast published ports are, beside podman and the loopback: medians and ratios of one run.

    tests/bench/network.py [--user NAME] [--times N] [--seconds S]

As root it becomes the user NAME (default rl-user) as start.py does.  Each contender is a server in
a container that stays for the whole run, and the loopback one without a container.  In turn, N
times (default 5): one stream of S seconds (default 2), and 2,000 connections with one question
each, 100 at once.  What failed is counted.  Nothing is asserted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import start

BUDGETS = {  # of `proxy`: at least so many times
    "slirp4netns' handler": 1.5,
    "loopback": 0.3,
}
REQUESTS, AT_ONCE = 2000, 100


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def program(directory: Path) -> Path:
    """flow.c, static."""
    made = directory / "flow"
    source = Path(__file__).parent / "flow.c"
    start.run(["cc", "-O2", "-static", "-o", str(made), str(source)])
    return made


def image(directory: Path, flow: Path) -> Path:
    """A root file system of that program."""
    path = directory / "flow.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(flow, "flow")
    return path


def measure(ports: dict[str, int], flow: Path, times: int, seconds: float) -> None:
    """Both measurements of all contenders, and the ratios."""
    speed: dict[str, list[float]] = {name: [] for name in ports}
    rate: dict[str, list[float]] = {name: [] for name in ports}
    failed = dict.fromkeys(ports, 0)
    for _ in range(times):
        for name, port in ports.items():
            where = ["127.0.0.1", str(port)]
            speed[name].append(float(start.run([str(flow), "send", *where, str(seconds)])))
            words = [str(flow), "ask", *where, str(REQUESTS), str(AT_ONCE)]
            took, bad = start.run(words).split()
            rate[name].append(REQUESTS / float(took))
            failed[name] += int(bad)
    print(f"{'':32} Gbit/s  requests/s  failed of {REQUESTS * times}")
    for name in ports:
        one, other = statistics.median(speed[name]), statistics.median(rate[name])
        print(f"{name:32} {one:6.2f}  {other:10.0f}  {failed[name]}")
    ours = statistics.median(speed["proxy"])
    for name in ports:
        if name == "proxy":
            continue
        ratio = ours / statistics.median(speed[name])
        budget = BUDGETS.get(name)
        told = ""
        if budget:
            told = f" (budget {budget}: {'met' if ratio >= budget else 'MISSED'})"
        quick = statistics.median(rate["proxy"]) / statistics.median(rate[name])
        print(f"proxy / {name:24} {ratio:6.2f}{told}; requests {quick:.2f}")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--user", default="rl-user")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    chosen = parser.parse_args()
    # what has been started is ended
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    if os.getuid() == 0:
        start.become(chosen.user)
    directory = Path(tempfile.mkdtemp(prefix="b", dir="/var/tmp"))
    directory.chmod(0o711)
    os.environ["ROOTLESS_DATA_DIR"] = str(directory / "data")
    command = start.launcher(directory)
    flow = program(directory)
    tar = image(directory, flow)
    start.run([*command, "import", str(tar), "flow"])
    ports = {"loopback": free_port()}
    server = subprocess.Popen([str(flow), "serve", str(ports["loopback"])])
    podman = ["podman", "--root", str(directory / "store"), "--storage-driver", "vfs",
              "--runroot", str(directory / "peer"), "--cgroup-manager", "cgroupfs",
              "--events-backend", "file"] if shutil.which("podman") else []  # fmt: skip
    networks = {
        "proxy": "slirp4netns",
        "slirp4netns' handler": "slirp4netns:port_handler=slirp4netns",
        "the same, mtu=65520": "slirp4netns:port_handler=slirp4netns,mtu=65520",
    }
    try:
        for number, (name, network) in enumerate(networks.items()):
            ports[name] = free_port()
            start.run([*command, "run", "-d", "--name", f"flow{number}", "--network", network,
                       "-p", f"127.0.0.1:{ports[name]}:80", "flow", "/flow", "serve",
                       "80"])  # fmt: skip
        if podman:
            ports["podman"] = free_port()
            start.run([*podman, "import", str(tar), "flow"])
            start.run([*podman, "run", "-d", "--name", "flow", "--cgroups", "disabled", "--network",
                       "slirp4netns", "-p", f"127.0.0.1:{ports['podman']}:80", "flow", "/flow",
                       "serve", "80"])  # fmt: skip
        measure(ports, flow, chosen.times, chosen.seconds)
    finally:
        server.kill()
        server.wait()
        subprocess.run([*command, "rm", "-fa"], capture_output=True)
        subprocess.run([*command, "unshare", "rm", "-rf", str(directory / "data")])
        if podman:
            subprocess.run([*podman, "rm", "-fa", "-t", "0"], capture_output=True)
            subprocess.run([*podman, "unshare", "rm", "-rf", str(directory / "store")])
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
