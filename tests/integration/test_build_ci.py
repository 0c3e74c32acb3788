"""`build` in a job of a CI: an image of Debian with `apt-get update` and `apt-get install`, pushed
to a registry on the loopback; as root and as a plain user, in podman's container as it is (its
filter, /proc with parts covered, no new privileges, neither /dev/fuse nor /dev/net/tun) and in one
of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import TREE, Command, Place
from integration.debs import repository as repository
from integration.documents import examples
from test_nested import INSIDE, Outer, outer, program_words  # noqa: F401

# what a job does; the registry and the archive are services beside it
JOB = r"""
set -e
cat >/tmp/registry.yml <<'E'
version: 0.1
storage: {filesystem: {rootdirectory: /tmp/registry}}
http: {addr: '127.0.0.1:5000'}
E
docker-registry serve /tmp/registry.yml >/tmp/registry.log 2>&1 & REGISTRY=$!
perl /archive/server 8080 /archive &
mkdir -p /tmp/context && cd /tmp/context
cat >Dockerfile <<'E'
FROM debian:ci
RUN rm -rf /etc/apt/sources.list.d/* \
 && echo 'deb [trusted=yes] http://127.0.0.1:8080/ ./' >/etc/apt/sources.list
RUN apt-get update && apt-get install -y --no-install-recommends thing \
 && rm -rf /var/lib/apt/lists/*
RUN cat /usr/share/thing/file >/installed && dpkg --verify thing
CMD ["cat", "/installed"]
E
while [ ! -e /tmp/ready-8080 ]; do sleep 0.05; done
rootless import -q /debian.tar debian:ci
mkdir -p "$HOME/.config/containers"
printf '[[registry]]\nlocation = "127.0.0.1:5000"\ninsecure = true\n' \
    >"$HOME/.config/containers/registries.conf"
until perl -MIO::Socket::INET -e 'IO::Socket::INET->new("127.0.0.1:5000") or exit 1'; do
    kill -0 $REGISTRY; sleep 0.05
done
export REGISTRY=127.0.0.1:5000 REGISTRY_USER=me REGISTRY_PASSWORD_FILE=/tmp/password
echo secret >/tmp/password
set +e
(set -e
@SCRIPT@
) >/tmp/told 2>&1
status=$?
set -e
[ $status = 0 ] || { cat /tmp/told; tail -5 /tmp/registry.log; exit 1; }
sed -n 's/^in CI: /wall: /p' /tmp/told
rootless rmi -f 127.0.0.1:5000/group/app:1 >/tmp/removed
rootless pull -q 127.0.0.1:5000/group/app:1 >/tmp/pulled
rootless run --rm --network none 127.0.0.1:5000/group/app:1 2>/tmp/ran || { cat /tmp/ran; exit 1; }
"""
_long = pytest.mark.long


def _job() -> str:
    """With the script that docs/ci.md gives to every platform."""
    return JOB.replace("@SCRIPT@", examples("docs/ci.md", "sh")[0].code)


def _walls(said: str) -> list[str]:
    return [line.removeprefix("wall: ") for line in said.splitlines() if line.startswith("wall: ")]


@pytest.mark.slow
@pytest.mark.parametrize("user", ["plain", pytest.param("root", marks=_long)])
def test_a_debian_image_in_podmans_container(
    outer: Outer,  # noqa: F811
    user: str,
    repository: Path,
    debian_tar: Path,
) -> None:
    options = ["--security-opt", "no-new-privileges", "-v", f"{repository}:/archive:ro",
               "-v", f"{debian_tar}:/debian.tar:ro"]  # fmt: skip
    if user == "plain":
        options += ["--user", "1000"]
    done = outer(_job(), *options, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("installed\n"), done.stdout + done.stderr
    walls = _walls(done.stdout)
    for named in ("/proc", "/dev/net/tun", "/dev/fuse"):
        assert any(named in line for line in walls), done.stdout


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("user", ["root", "plain"])
def test_a_debian_image_in_a_container_of_ours(
    rootless: Command,
    place: Place,
    user: str,
    repository: Path,
    debian_tar: Path,
) -> None:
    rootless("import", debian_tar, "outer:ci", timeout=200)
    binds = {"/usr": "/usr", str(TREE): "/tree", str(repository): "/archive",
             str(debian_tar): "/debian.tar"}  # fmt: skip
    words, sites = program_words()
    binds |= {site: site for site in sites}
    volumes = [word for one in binds.items() for word in ("-v", f"{one[0]}:{one[1]}:ro")]
    # the default filter is docker's, which lets nobody make a user namespace
    options = ["--security-opt", "no-new-privileges", "--network", "none",
               "--security-opt", "seccomp=unconfined"]  # fmt: skip
    if user == "plain":
        options += ["--user", "1000"]
    script = INSIDE.format(words=words) + _job()
    done = rootless("run", "--rm", *options, *volumes, "outer:ci", "sh", "-c", script, timeout=500)
    assert done.stdout.endswith("installed\n"), done
