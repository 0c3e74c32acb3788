"""Build the self-contained wheel that `install.sh --wheel` unpacks.

    python3 packaging/wheel.py [--output dist]

It is the ordinary cp311-abi3 wheel plus `rootless/_vendor/`: the libraries that pyproject.toml
names, for every Python from 3.11 to 3.14.  Compiled modules of several versions lie side by side,
because the version is part of their file names.  A host that installs it needs `python3` and
nothing else.  Building it needs pip, a compiler and a package index.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import importlib
import io
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
# the oldest C libraries that wheels are built for first, so that old hosts can use the result
PLATFORMS = ("manylinux2014", "manylinux_2_17", "manylinux_2_24", "manylinux_2_28")
# of cffi only the module that compiled extensions load; its generator is for building
ONLY = {"cffi": "_cffi_backend"}


def requirements_library(directory: Path) -> None:
    """Have the library `packaging`, which reads markers; where it is missing pip fetches it."""
    try:
        import packaging.requirements  # noqa: F401
    except ImportError:
        pip("install", "--quiet", "--target", str(directory), "packaging")
        sys.path.append(str(directory))
        sys.modules.pop("packaging", None)
        importlib.invalidate_caches()


def dependencies(version: str) -> list[str]:
    """What pyproject.toml wants at run time under a version of Python.

    pip evaluates markers for the Python it runs on, so they are evaluated here.
    """
    from packaging.requirements import Requirement

    with open(TREE / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    environment = {
        "python_version": version,
        "python_full_version": f"{version}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": platform.machine(),
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }
    wanted = [Requirement(line) for line in project.get("dependencies", [])]
    return [
        f"{item.name}{item.specifier}"
        for item in wanted
        if item.marker is None or item.marker.evaluate(environment)
    ]


def pip(*words: str) -> None:
    """Run pip.  Raises SystemExit with its words if it failed."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.exit(f"{done.stdout}\nerror: {' '.join(command)} failed")


def download(version: str, directory: Path) -> None:
    """Fetch wheels of all dependencies for one version of Python."""
    machine = platform.machine()
    tags = [word for name in PLATFORMS for word in ("--platform", f"{name}_{machine}")]
    abi = f"cp{version.replace('.', '')}"
    words = [
        *("download", "--quiet", "--only-binary=:all:", "--dest", str(directory)),
        *("--implementation", "cp", "--python-version", version),
        *("--abi", abi, "--abi", "abi3", "--abi", "none", *tags),
    ]
    # what has no wheel would have to be compiled by everybody who runs `pip install .`: an error
    pip(*words, *dependencies(version))


def vendor(downloads: Path, target: Path) -> None:
    """Unpack wheels into one directory.  Raises SystemExit if two of them disagree on a file."""
    for wheel in sorted(downloads.glob("*.whl")):
        name = re.split(r"-\d", wheel.name)[0].lower()
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                first = entry.filename.split("/")[0]
                keep = name not in ONLY or first.startswith((ONLY[name], f"{name}-"))
                if entry.is_dir() or not keep or first.endswith(".data") or ".." in entry.filename:
                    continue
                path = target / entry.filename
                data = archive.read(entry)
                inside = first.endswith(".dist-info")
                if path.exists() and not inside and path.read_bytes() != data:
                    sys.exit(f"error: {wheel.name} has another {entry.filename} than the others")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)


def repack(wheel: Path, vendored: Path, output: Path) -> Path:
    """Write the wheel anew with the vendored files in it, and a RECORD that knows them."""
    result = output / wheel.name
    rows: list[tuple[str, str, str]] = []
    with (
        zipfile.ZipFile(wheel) as source,
        zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target,
    ):
        record = next(n for n in source.namelist() if n.endswith(".dist-info/RECORD"))

        def add(entry: zipfile.ZipInfo, data: bytes) -> None:
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows.append((entry.filename, f"sha256={digest}", str(len(data))))

        for entry in source.infolist():
            if not entry.is_dir() and entry.filename != record:
                add(entry, source.read(entry))
        for path in sorted(vendored.rglob("*")):
            if path.is_file():
                name = f"rootless/_vendor/{path.relative_to(vendored)}"
                # a fixed time: the same input gives the same wheel
                entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
                entry.external_attr = 0o100644 << 16
                add(entry, path.read_bytes())
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([*rows, (record, "", "")])
        target.writestr(record, text.getvalue())
    return result


def build(output: Path) -> Path:
    """Build, fetch, put together; the wheel."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        # built in a copy, so that the tree stays as it is
        copy = work / "source"
        copy.mkdir()
        for item in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
            if (TREE / item).exists():
                shutil.copy(TREE / item, copy)
        for item in ("rootless", "helpers"):
            ignore = shutil.ignore_patterns("__pycache__", "*.so", "*.o", "rootless-*", "_vendor")
            shutil.copytree(TREE / item, copy / item, ignore=ignore, symlinks=True)
        print("building the wheel", flush=True)
        pip("wheel", "--quiet", "--no-deps", "--wheel-dir", str(work / "built"), str(copy))
        requirements_library(work / "tools")
        for version in VERSIONS:
            print(f"fetching libraries for Python {version}", flush=True)
            download(version, work / "downloads")
        vendored = work / "vendor"
        vendor(work / "downloads", vendored)
        (wheel,) = (work / "built").glob("*.whl")
        return repack(wheel, vendored, output)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="build the self-contained wheel")
    parser.add_argument("--output", type=Path, default=TREE / "dist", help="where it goes")
    result = build(parser.parse_args().output)
    print(f"{result} ({result.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
