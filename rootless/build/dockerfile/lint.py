"""Build checks: the rules of the reference, by its names and in its words.

Scope: pure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from rootless.build.dockerfile.parser import Dockerfile
from rootless.build.dockerfile.source import DockerfileError, Warning_
from rootless.build.dockerfile.stages import Stages

URL = "https://docs.docker.com/go/dockerfile/rule/"


@dataclass(frozen=True)
class Checks:
    """Which rules are looked at, and whether a finding is an error.

    `skip`: names of rules, or `all`; `experimental`: names of rules that are off otherwise.
    """

    skip: frozenset[str] = frozenset()
    error: bool = False
    experimental: frozenset[str] = frozenset()


def read_checks(dockerfile: Dockerfile, passed: str | None = None) -> Checks:
    """Read the directive `check`; `passed` (BUILDKIT_DOCKERFILE_CHECK) comes before it."""
    raise NotImplementedError


def check(
    dockerfile: Dockerfile,
    stages: Stages,
    *,
    checks: Checks | None = None,
    environments: Mapping[str, Collection[str]] | None = None,
    ignored: Callable[[str], bool] | None = None,
) -> tuple[Warning_, ...]:
    """Return what the rules find, in the order of the file.

    `environments`: names of variables of base images, by reference; `ignored`: tells whether a
    path of the context is excluded from it.
    """
    return ()


def refuse(found: tuple[Warning_, ...], checks: Checks) -> DockerfileError | None:
    """Return the error that `check=error=true` makes of findings."""
    return None
