"""What a build is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rootless.build.contexts import Context

Secret = Callable[[], bytes]


@dataclass(frozen=True)
class NamedContext:
    """--build-context NAME=…: an image, or a directory."""

    image: str = ""
    context: Context | None = None


@dataclass(frozen=True)
class BuildOptions:
    """Options of one build; see `rootless build --help`.

    `no_cache`: nothing is taken from the cache; `no_cache_filter`: not of these stages.  `secrets`:
    their bytes by id, asked for when a step wants them; `ssh`: sockets of agents by id.  `epoch`:
    SOURCE_DATE_EPOCH; `timestamp`: the time of everything.
    """

    build_args: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    platform: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    inherit_labels: bool = True
    step_title: str = ""
    contexts: Mapping[str, NamedContext] = field(default_factory=dict)
    no_cache: bool = False
    no_cache_filter: frozenset[str] = frozenset()
    pull: str = "missing"
    network: str = "default"
    add_hosts: tuple[str, ...] = ()
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    ssh: Mapping[str, str] = field(default_factory=dict)
    allow: frozenset[str] = frozenset()
    epoch: int | None = None
    timestamp: int | None = None
    jobs: int = 4
    unset_env: tuple[str, ...] = ()
    unset_labels: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
