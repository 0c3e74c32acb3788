"""`build` in a job of a CI: inside podman's container as it is, which has no /dev/fuse, covers
parts of /proc and gives no new privileges; as its root and as a plain user."""

from __future__ import annotations

import pytest
from test_nested import Outer, outer  # noqa: F401

_BUILD = """
set -e
mkdir -p /tmp/context && cd /tmp/context
echo content >file
cat >Dockerfile <<'E'
FROM b AS work
WORKDIR /made
COPY file copied
RUN cat copied >by-run && rm /etc/group && id -u >id
FROM scratch
COPY --from=work /made /made
COPY --from=work /bin/busybox /bin/cat
CMD ["/bin/cat", "/made/by-run", "/made/id"]
E
rootless import -q /busybox.tar b
rootless build --network none --progress plain -t mine . 2>/tmp/told || { cat /tmp/told; exit 1; }
rootless build --network none --progress plain -t mine . 2>/tmp/again
grep -c CACHED /tmp/again
rootless run --rm --network none mine 2>/dev/null
"""


@pytest.mark.slow
@pytest.mark.parametrize("user", ["root", "plain"])
def test_a_build_in_a_job(outer: Outer, user: str) -> None:  # noqa: F811
    options = ["--security-opt", "no-new-privileges"]
    if user == "plain":
        options += ["--user", "1000"]
    done = outer(_BUILD, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.split()
    assert lines[-3:] == ["5", "content", "0"] or lines[-2:] == ["content", "0"], done.stdout
