"""Build a package for Debian and its relatives.

    python3 packaging/deb.py [--wheel FILE] [--output dist]
    apt install ./dist/rootless_*.deb

It has the contents of the self-contained wheel, which is built first if none is given, in
/usr/lib/rootless; the programs in /usr/bin; a module for the system's `import rootless`;
completions, manual pages, units for systemd's user managers, and the documents.  apt installs what
a running engine needs.  Building it needs dpkg-deb and what packaging/wheel.py needs.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import wheel as wheels

SITE = "/usr/lib/rootless/site"
PYTHON = "/usr/bin/python3"
NOTE = "written by packaging/deb.py of rootless"
PROGRAMS = {
    "rootless": "cli.main",
    "rootless-runtime": "cli.oci.main",
    "rootless-generator": "quadlet.generator",
}
COMPLETIONS = {
    "bash": "usr/share/bash-completion/completions/rootless",
    "zsh": "usr/share/zsh/vendor-completions/_rootless",
    "fish": "usr/share/fish/vendor_completions.d/rootless.fish",
}
CONTROL = """\
Package: rootless
Version: {version}
Architecture: {architecture}
Maintainer: The maintainers of rootless <rootless@localhost>
Section: admin
Priority: optional
Installed-Size: {kilobytes}
Depends: python3 (>= 3.11), python3 (<< 3.15), libc6 (>= {libc}), uidmap, slirp4netns,
 fuse-overlayfs, fuse3, ca-certificates
Recommends: dbus-user-session
Suggests: squashfuse, squashfs-tools, crun
Description: container engine for people without root
 Runs containers from OCI images as an ordinary user: no daemon, no service,
 nothing that runs when no container runs. The command line is that of docker
 and podman; there is an OCI runtime, rootless-runtime, and a Python library.
"""
COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: rootless

Files: *
Copyright: the authors of rootless
License: Apache-2.0
 On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.
Comment: the libraries in /usr/lib/rootless/site/rootless/_vendor have licenses of
 their own, in the directories *.dist-info beside them.
"""


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file, and the directories above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def libc(site: Path) -> str:
    """The oldest C library that all compiled modules can be loaded with."""
    found = {(2, 17)}
    for path in site.rglob("*.so*"):
        for one in re.finditer(rb"\bGLIBC_(\d+)\.(\d+)", path.read_bytes()):
            found.add((int(one[1]), int(one[2])))
    return ".".join(map(str, max(found)))


def fill(root: Path) -> str:
    """Add what belongs around the unpacked wheel; the version of the program."""
    site = root / SITE[1:]
    sys.path.insert(0, str(site))
    import rootless
    from rootless import packing
    from rootless.cli import man
    from rootless.quadlet import builtin_units

    for name, module in PROGRAMS.items():
        paths = [SITE, f"{SITE}/rootless/_vendor"]
        package = f"{SITE}/rootless"
        text = packing.launcher(PYTHON, module, NOTE, paths, package=package)
        write(root / "usr/bin" / name, text, 0o755)
    write(root / "usr/lib/python3/dist-packages/rootless.py", packing.library(SITE, NOTE))
    for matter in builtin_units.MATTERS:
        for name, text in builtin_units.texts(matter, ["/usr/bin/rootless"]).items():
            write(root / "usr/lib/systemd/user" / name, text)
    generators = root / "usr/lib/systemd/user-generators"
    generators.mkdir(parents=True)
    (generators / "rootless-generator").symlink_to("../../../bin/rootless-generator")
    here = [sys.executable, "-IS", "-c",
            f"import sys; sys.path += [{str(site)!r}, {str(site / 'rootless/_vendor')!r}]\n"
            "sys.dont_write_bytecode = True\n"
            "from rootless.cli.main import main; sys.exit(main())"]  # fmt: skip
    for shell, place in COMPLETIONS.items():
        done = subprocess.run([*here, "completion", shell], text=True, stdout=subprocess.PIPE)
        if done.returncode:
            sys.exit(f"error: `rootless completion {shell}` failed")
        write(root / place, done.stdout)
    for name, text in man.pages().items():
        path = root / "usr/share/man/man1" / f"{name}.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
    documents = root / "usr/share/doc/rootless"
    write(documents / "copyright", COPYRIGHT)
    for page in (wheels.TREE / "README.md", *sorted((wheels.TREE / "docs").glob("*.md"))):
        write(documents / page.relative_to(wheels.TREE), page.read_text())
    changes = gzip.compress((wheels.TREE / "CHANGELOG.md").read_bytes(), mtime=0)
    (documents / "changelog.gz").write_bytes(changes)
    return rootless.__version__


def build(wheel: Path, output: Path, work: Path) -> Path:
    """Make the package of a wheel; its file."""
    root = work / "root"
    site = root / SITE[1:]
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for data in site.glob("rootless-*.data"):
        shutil.rmtree(data)  # manual pages, which have another place here
    sys.dont_write_bytecode = True
    version = fill(root)
    programs = site / "rootless/bin"
    for directory, _, names in os.walk(root):
        os.chmod(directory, 0o755)
        for path in (Path(directory, name) for name in names):
            if not path.is_symlink():
                executable = path.parent in (programs, root / "usr/bin")
                path.chmod(0o755 if executable else 0o644)
    size = sum(path.lstat().st_size for path in root.rglob("*")) // 1024
    machine = subprocess.run(
        ["dpkg", "--print-architecture"], check=True, text=True, stdout=subprocess.PIPE
    ).stdout.strip()
    control = CONTROL.format(version=version, architecture=machine, kilobytes=size, libc=libc(site))
    write(root / "DEBIAN/control", control)
    for script in (wheels.TREE / "packaging/debian").iterdir():
        write(root / "DEBIAN" / script.name, script.read_text(), 0o755)
    result = output / f"rootless_{version}_{machine}.deb"
    output.mkdir(parents=True, exist_ok=True)
    words = ["dpkg-deb", "--root-owner-group", "-Zxz", "-z3", "--build", str(root), str(result)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return result


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="build a package for Debian")
    parser.add_argument("--wheel", type=Path, help="what packaging/wheel.py has made")
    parser.add_argument("--output", type=Path, default=wheels.TREE / "dist", help="where it goes")
    given = parser.parse_args()
    if not shutil.which("dpkg-deb"):
        sys.exit("error: there is no dpkg-deb\nhint: build it on Debian or a relative")
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        wheel = given.wheel or wheels.build(work / "wheel")
        result = build(wheel, given.output, work)
    print(f"{result} ({result.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
