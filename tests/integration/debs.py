"""An archive of Debian packages on the loopback, for what runs apt: tests reach no other."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from conftest import Place

_FIELDS = "Version: 1\nArchitecture: all\nMaintainer: n <n@example.org>\nDescription: for a test\n"

# `server PORT DIRECTORY`
_SERVER = r"""
use IO::Socket::INET;
my ($port, $top) = @ARGV;
my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1:$port", Listen => 9, ReuseAddr => 1)
    or die $!;
$SIG{CHLD} = 'IGNORE';
open F, '>', "/tmp/ready-$port";
close F;
while (my $c = $s->accept) {
    next if fork;
    while (<$c> =~ m{^GET (\S+)}) {
        my ($status, $data) = ('404 No', '');
        if (open my $h, '<', "$top$1") {
            local $/;
            ($status, $data) = ('200 OK', scalar <$h>);
        }
        1 while <$c> =~ /\S/;
        print $c "HTTP/1.1 $status\r\nContent-Length: ", length $data, "\r\n\r\n$data";
    }
    exit;
}
"""


@pytest.fixture
def repository(place: Place) -> Path:
    """An archive with one package, whose script gives files away as many do, and its server."""
    tree, made = place.work / "thing", place.work / "archive"
    for path in (tree / "DEBIAN", tree / "usr/share/thing", made):
        path.mkdir(parents=True)
    (tree / "usr/share/thing/file").write_text("installed\n")
    (tree / "DEBIAN/control").write_text("Package: thing\n" + _FIELDS)
    script = tree / "DEBIAN/postinst"
    script.write_text(
        "#!/bin/sh\nset -e\ngetent passwd thing || useradd -r thing\n"
        "chown thing:thing /usr/share/thing/file\n"
    )
    script.chmod(0o755)
    (made / "server").write_text(_SERVER)
    for words in (
        ["dpkg-deb", "--root-owner-group", "--build", tree, made / "thing_1_all.deb"],
        ["sh", "-c", "dpkg-scanpackages . >Packages 2>/dev/null"],
        ["sh", "-c", 'printf "Date: %s\nSHA256:\n %s %s Packages\n" "$(date -Ru)" '
         '$(sha256sum <Packages | cut -d" " -f1) $(stat -c %s Packages) >Release'],
    ):  # fmt: skip
        subprocess.run(words, cwd=made, check=True, capture_output=True)
    return made
