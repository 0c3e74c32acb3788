"""What a build is going to do: stages, steps and what each needs.  Nothing is run here.

Scope: from `dockerfile.stages` to a graph that can be printed (`--print=graph`) and walked.
Variables that only a base image knows are not replaced yet.
"""

from __future__ import annotations

from dataclasses import dataclass

from rootless.build.dockerfile import instructions
from rootless.build.dockerfile.stages import (
    ContextOrigin,
    ImageOrigin,
    Origin,
    Scratch,
    Stage,
    StageOrigin,
    Stages,
    dependencies,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

CHANGES_FILES = (instructions.Run, instructions.Copy, instructions.Add, instructions.Workdir)


@dataclass(frozen=True)
class Node:
    """A stage that the target needs.  `needs`: numbers of the stages that come before it;
    `images`: what has to be found for it; `steps`: its instructions."""

    stage: Stage
    needs: tuple[int, ...]
    images: tuple[ImageOrigin, ...]
    steps: tuple[instructions.Instruction, ...]

    @property
    def base(self) -> str:
        """What it begins with, in words."""
        origin = self.stage.origin
        if isinstance(origin, ImageOrigin):
            return origin.reference
        if isinstance(origin, ContextOrigin):
            return f"context {origin.name}"
        return "scratch" if isinstance(origin, Scratch) else f"stage {origin.index}"


@dataclass(frozen=True)
class Graph:
    """The stages in an order in which each comes after what it needs; the target is the last."""

    nodes: tuple[Node, ...]
    stages: Stages

    def images(self) -> list[ImageOrigin]:
        """Every image that is needed, each once."""
        return list(dict.fromkeys(image for node in self.nodes for image in node.images))

    def uses_context(self) -> bool:
        """Whether any step takes files of the main context."""
        for node in self.nodes:
            for step in node.steps:
                if isinstance(step, instructions.Copy) and step.sources and not step.from_:
                    return True
                if isinstance(step, instructions.Add) and step.sources:
                    return True
                if isinstance(step, instructions.Run) and any(
                    "from=" not in flag and "type=cache" not in flag for flag in step.mount_flags
                ):
                    return True
        return False

    def as_json(self) -> Json:
        """For --print=graph."""
        return {
            "target": self.nodes[-1].stage.index,
            "stages": [
                {
                    "number": node.stage.index,
                    "name": node.stage.name,
                    "platform": str(node.stage.platform),
                    "base": node.base,
                    "needs": list(node.needs),
                    "images": [image.reference for image in node.images],
                    "steps": [
                        {
                            "instruction": " ".join(step.line.original.split("\n")[0].split()),
                            "line": step.line.place.first,
                            "layer": isinstance(step, CHANGES_FILES),
                        }
                        for step in node.steps
                    ],
                }
                for node in self.nodes
            ],
        }


def plan(stages: Stages) -> Graph:
    """The graph of what the target needs.  Raises DockerfileError."""
    nodes = []
    for stage in stages.needed:
        needs: list[int] = []
        images: list[ImageOrigin] = []
        for _, origin in dependencies(stages.all, stage, stages.contexts):
            _sort(origin, needs, images)
        steps = (*stage.triggers, *stage.instructions)
        unique = tuple(dict.fromkeys(needs)), tuple(dict.fromkeys(images))
        nodes.append(Node(stage, *unique, steps))
    return Graph(tuple(nodes), stages)


def _sort(origin: Origin, needs: list[int], images: list[ImageOrigin]) -> None:
    if isinstance(origin, StageOrigin):
        needs.append(origin.index)
    elif isinstance(origin, ImageOrigin):
        images.append(origin)
