"""The whole way with a real distribution: built, pushed to a registry, pulled, used, removed."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request

import pytest
from conftest import Command, Place

pytestmark = [pytest.mark.usefixtures("everyone"), pytest.mark.slow]


def test_the_whole_way(rootless: Command, debian_image: str, place: Place) -> None:
    image = debian_image
    pulled = rootless("pull", image, timeout=200)
    assert len(pulled.stdout.strip()) == 64
    assert "debian" in rootless("images").stdout

    # apt
    found = rootless("run", "--rm", image, "apt-get", "--version")
    assert found.stdout.startswith("apt ")
    # files have their real owners, as far as there are owners to be had
    owner = rootless("run", "--rm", image, "stat", "-c", "%U:%G %a", "/etc/shadow").stdout
    assert owner.strip() in ("root:shadow 640", "root:root 640")
    # a package's scripts chown; that works with many ids and is answered with one
    rootless("run", "--rm", image, "sh", "-c",
             "touch /x && chown www-data:adm /x && install -o games -d /y && "
             "adduser --disabled-password --gecos '' someone >/dev/null 2>&1 || "
             "useradd someone")  # fmt: skip

    # a shell on a terminal
    terminal = rootless.terminal("run", "-it", "--rm", image, "bash")
    terminal.expect("# ")
    terminal.type("cat /etc/debian_version; exit 3\n")
    assert terminal.wait() == 3
    assert b"12." in terminal.seen

    # a web server on a published port (perl is in every Debian)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    server = (
        "use IO::Socket::INET; $|=1; my $s=IO::Socket::INET->new(LocalPort=>80,Listen=>5,"
        'ReuseAddr=>1) or die $!; print "ready\\n"; while(my $c=$s->accept){<$c>;'
        'print $c "HTTP/1.0 200 OK\\r\\n\\r\\nfrom debian\\n"; close $c}'
    )
    rootless(
        "run", "-d", "--name", "web", "-p", f"127.0.0.1:{port}:80", image, "perl", "-e", server
    )
    follower = rootless.start("logs", "-f", "web", stdout=subprocess.PIPE)
    assert follower.stdout is not None
    assert follower.stdout.readline() == b"ready\n"
    end = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                assert answer.read() == b"from debian\n"
            break
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.05)

    # look, enter, copy
    assert rootless("exec", "web", "id", "-u").stdout == "0\n"
    (place.work / "page").write_text("copied in\n")
    rootless("cp", place.work / "page", "web:/srv/page")
    assert rootless("exec", "web", "cat", "/srv/page").stdout == "copied in\n"
    rootless("cp", "web:/etc/debian_version", place.work / "version")
    assert (place.work / "version").read_text().startswith("12.")
    assert "A /srv/page" in rootless("diff", "web").stdout

    # stop within the grace time, remove
    begin = time.monotonic()
    rootless("stop", "-t", "3", "web")
    assert time.monotonic() - begin < 30
    assert follower.wait(60) == 0
    rootless("rm", "web")
    rootless("rmi", image)
    assert rootless("ps", "-aq").stdout == ""
    assert rootless("images", "-q").stdout == ""
    left = [one for one in (place.data / "layers").rglob("*") if not one.name.startswith(".")]
    assert [one for one in left if one.name == "fs"] == []
    assert os.listdir(place.data / "content" / "blobs" / "sha256") == []


def test_a_published_udp_port(rootless: Command, debian_image: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    echo = (
        "use IO::Socket::INET; my $s=IO::Socket::INET->new(LocalPort=>53,Proto=>'udp') or die $!;"
        "while($s->recv(my $d,1500)){$s->send(uc $d)}"
    )
    rootless("run", "-d", "--name", "udp", "-p", f"127.0.0.1:{port}:53/udp", debian_image,
             "perl", "-e", echo, timeout=200)  # fmt: skip
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(0.3)
        end = time.monotonic() + 60
        while True:
            one.sendto(b"hello", ("127.0.0.1", port))
            try:
                assert one.recv(100) == b"HELLO"
                break
            except OSError:
                assert time.monotonic() < end
