"""Package managers where a container has a single id, as the README has it: nothing by hand.

apt fetches as another user and looks whether it became that one; what makes it work must be in no
image, archive or list of changes.
"""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest
from conftest import Command, Place

_FIELDS = "Version: 1\nArchitecture: all\nMaintainer: n <n@example.org>\nDescription: for a test\n"

# served on the container's own loopback, because tests reach no archive
_SERVER = r"""
use IO::Socket::INET;
my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1:80', Listen => 9, ReuseAddr => 1) or die $!;
open F, '>', '/tmp/ready';
while (my $c = $s->accept) {
    next if fork;
    while (<$c> =~ m{^GET (\S+)}) {
        my ($status, $data) = ('404 No', '');
        if (open my $h, '<', "/repository$1") {
            local $/;
            ($status, $data) = ('200 OK', scalar <$h>);
        }
        1 while <$c> =~ /\S/;
        print $c "HTTP/1.1 $status\r\nContent-Length: ", length $data, "\r\n\r\n$data";
    }
    exit;
}
"""

_SCRIPT = """
set -e
perl /repository/server & while [ ! -e /tmp/ready ]; do sleep 0.02; done; rm /tmp/ready
echo 'deb [signed-by=/repository/key.gpg] http://127.0.0.1/ ./' >/etc/apt/sources.list
apt-get update 2>&1 && apt-get install -y thing 2>&1
env -i apt-get install -y --reinstall thing 2>&1
kill $!
cat /usr/share/thing/file; dpkg-query -W -f '${Status}\\n' thing; dpkg --verify thing
"""


@pytest.fixture
def repository(place: Place) -> Path:
    """A signed archive with one package, whose script gives files away as many do."""
    tree, made = place.work / "thing", place.work / "repository"
    for path in (tree / "DEBIAN", tree / "usr/share/thing", made):
        path.mkdir(parents=True)
    (tree / "usr/share/thing/file").write_text("installed\n")
    (tree / "DEBIAN/control").write_text("Package: thing\n" + _FIELDS)
    script = tree / "DEBIAN/postinst"
    script.write_text(
        "#!/bin/sh\nset -e\ngetent passwd thing || useradd -r thing\n"
        "chown thing:thing /usr/share/thing/file\nchmod 4755 /usr/share/thing/file\n"
    )
    script.chmod(0o755)
    (made / "server").write_text(_SERVER)
    home = place.work / "gnupg"
    home.mkdir(0o700)
    gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", ""]
    for words in (
        ["dpkg-deb", "--root-owner-group", "--build", tree, made / "thing_1_all.deb"],
        ["sh", "-c", "dpkg-scanpackages . >Packages 2>/dev/null"],
        ["sh", "-c", 'printf "Date: %s\nSHA256:\n %s %s Packages\n" "$(date -Ru)" '
         '$(sha256sum <Packages | cut -d" " -f1) $(stat -c %s Packages) >Release'],
        [*gpg, "--quick-generate-key", "archive@example.org", "rsa2048", "sign"],
        [*gpg, "--output", "key.gpg", "--export"],
        [*gpg, "--output", "InRelease", "--clearsign", "Release"],
        ["gpgconf", "--homedir", home, "--kill", "all"],
    ):  # fmt: skip
        subprocess.run(words, cwd=made, check=True, capture_output=True)
    return made


@pytest.mark.slow
@pytest.mark.single
def test_apt_update_and_install(
    rootless: Command, debian_tar: Path, repository: Path, place: Place
) -> None:
    rootless("import", debian_tar, "debian:test", timeout=200)
    words = ["--name", "c", "--network", "none", "-v", f"{repository}:/repository:ro"]
    done = rootless("run", *words, "debian:test", "sh", "-c", _SCRIPT, timeout=200)
    assert done.stdout.endswith("installed\ninstall ok installed\n"), done
    assert "\nW:" not in done.stdout, done

    rootless("start", "-a", "c", timeout=200)
    changed = rootless("diff", "c").stdout.splitlines()
    assert "C /etc/apt/sources.list" in changed and "A /usr/share/thing" in changed
    assert not [one for one in changed if "apt.conf" in one]
    rootless("run", "--name", "plain", "--network", "none", "debian:test", "true")
    assert rootless("diff", "plain").stdout == ""
    rootless("commit", "c", "kept:test")
    differs = rootless("image", "diff", "debian:test", "kept:test").stdout
    assert "/usr/share/thing" in differs and "apt.conf" not in differs
    archive = place.work / "whole.tar"
    rootless("export", "-o", archive, "c")
    exported = _names(archive)
    below = "etc/apt/apt.conf.d/"
    assert {one for one in exported if one.startswith(below)} == {
        one for one in _names(debian_tar) if one.startswith(below)
    }
    assert "usr/share/thing/file" in exported


def _names(archive: Path) -> set[str]:
    with tarfile.open(archive) as file:
        return {one.name.removeprefix("./").rstrip("/") for one in file}
