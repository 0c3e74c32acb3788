"""What pyproject.toml cannot say: the kernel room's extension, static programs, manual pages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from typing import Any

from setuptools import Distribution, setup
from setuptools.command.build_ext import build_ext

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools before 70.1
    from wheel.bdist_wheel import bdist_wheel  # type: ignore[no-redef]

TREE = os.path.dirname(os.path.abspath(__file__))


class BuildEverything(build_ext):
    """Builds the extension, and the programs of helpers/ by its Makefile."""

    def run(self) -> None:
        super().run()
        target = os.path.join(TREE if self.inplace else os.path.abspath(self.build_lib), "rootless")
        programs = os.path.join(target, "bin")
        helpers = os.path.join(TREE, "helpers")
        objects = os.path.join(os.path.abspath(self.build_temp), "helpers")
        make = os.environ.get("MAKE") or shutil.which("make") or "make"
        # left to themselves the flags of a distribution's Python reach the static link and break it
        environment = {key: value for key, value in os.environ.items() if key != "LDFLAGS"}
        try:
            subprocess.run(
                [make, "-s", "-C", helpers, f"OUT={programs}", f"OBJ={objects}", "WERROR="],
                check=True,
                env=environment,
            )
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemExit(
                f"error: the programs of helpers/ could not be built: {error}\n"
                "hint: make and musl-gcc (Debian: musl-tools) or a gcc that links statically"
            ) from None

    def get_outputs(self) -> list[str]:
        outputs: list[str] = super().get_outputs()
        programs = os.path.join(self.build_lib, "rootless", "bin")
        if not self.inplace and os.path.isdir(programs):
            outputs += [os.path.join(programs, name) for name in sorted(os.listdir(programs))]
        return outputs


class StableWheel(bdist_wheel):
    """One wheel for every Python from 3.11: the extension uses the limited API only.

    It has the manual pages, which are made by the package itself.
    """

    def finalize_options(self) -> None:
        self.py_limited_api = "cp311"
        super().finalize_options()

    def run(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            words = [sys.executable, "-B", "-m", "rootless.cli.man", directory]
            subprocess.run(words, check=True, cwd=TREE)
            pages = [os.path.join(directory, name) for name in sorted(os.listdir(directory))]
            self.distribution.data_files = [("share/man/man1", pages)]
            super().run()


class BinaryDistribution(Distribution):
    """Programs make a wheel belong to one architecture even if no extension were built."""

    def has_ext_modules(self) -> bool:
        return True


commands: dict[str, Any] = {"build_ext": BuildEverything, "bdist_wheel": StableWheel}
setup(
    license="Apache-2.0",
    cffi_modules=["rootless/kernel/_build.py:builder"],
    cmdclass=commands,
    distclass=BinaryDistribution,
)
