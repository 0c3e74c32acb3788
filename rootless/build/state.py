"""What the stages of a build share, and what one has come to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from rootless.build import hashing
from rootless.build.config import Config
from rootless.build.contexts import Context
from rootless.build.dockerfile.parser import Line
from rootless.build.dockerfile.stages import Stage
from rootless.build.dockerfile.variables import Variables
from rootless.build.options import BuildOptions
from rootless.build.progress import Progress
from rootless.build.protocols import Chain, Layers, Steps


@dataclass
class State:
    """What a stage has come to."""

    config: Config
    chain: Chain
    key: str
    created: float
    step: int = 0
    variables: Variables | None = None


@dataclass(frozen=True)
class Tree:
    """Files to copy from or to mount: layers, and the key that stands for them; or a context."""

    chain: Chain = ()
    key: str = ""
    context: Context | None = None
    step: int = 0


@dataclass
class Room:
    """What all stages of a build share."""

    options: BuildOptions
    layers: Layers
    steps: Steps
    progress: Progress
    context: Context
    cancel: Event
    memory: Callable[[Context], hashing.Memory]
    scratch: str
    tree: Callable[[str, Stage], Tree]
    running: Callable[[], object]
    warn: Callable[[Line, str], None]
