"""RUN --mount: from a flag to what the step sees, and what the cache key has of it.

Scope: names are resolved here; who mounts is `protocols.Steps`.  Secrets are asked for when it is
known that the step runs, and are in no key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rootless.build import keys, resolve, sources
from rootless.build.dockerfile import instructions
from rootless.build.dockerfile.stages import Stage
from rootless.build.protocols import Chain, Kept, Layers, StepMount
from rootless.build.state import Room, State, Tree
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

_COPYING = "rootless.build.copying:"


def absolute(text: str, workdir: str) -> str:
    """A path of a Dockerfile, from the working directory on."""
    joined = text if text.startswith("/") else f"{workdir}/{text}"
    # as text: what a link means is for who opens it, but a path cannot leave the top
    return "/" + "/".join(resolve.parts_of(joined))


def in_snapshot(
    layers: Layers,
    parent: Chain,
    worker: str,
    request: dict[str, Json],
    trees: Mapping[int, Chain] | None = None,
) -> tuple[str, dict[str, Json]]:
    """Run a worker of `copying` in a snapshot; the layer that it came to, and as a fact "unsure",
    where files were changed meanwhile: then the key may speak of others, and is not for the cache.
    """
    snapshot = layers.begin(parent)
    try:
        told = layers.work(_COPYING + worker, request, snapshot=snapshot, trees=trees)
    except BaseException:
        layers.abandon(snapshot)
        raise
    unsure: dict[str, Json] = {"unsure": True} if told.get("unsure") else {}
    return layers.finish(snapshot, told.get("owners")), unsure


class RunMounts:
    """The mounts of one RUN.  `prepare` does what costs something, before the step runs."""

    def __init__(self, room: Room, stage: Stage, state: State) -> None:
        self.room = room
        self.stage = stage
        self.state = state
        self.mounts: list[StepMount] = []
        self.described: list[Json] = []
        self.secrets: dict[str, bytes] = {}
        self.parents: list[int] = []
        self.unsure = False
        self._waiting: list[Callable[[], None]] = []

    def take(self, instruction: instructions.Run) -> None:
        """All flags of an instruction.  Raises NotFound, UsageError, DockerfileError."""
        for mount in instruction.mounts:
            self.described.append(self._mount(instruction, mount))

    def prepare(self) -> None:
        """Make what the step needs: it is not in the cache."""
        for one in self._waiting:
            one()

    def _mount(self, instruction: instructions.Run, mount: instructions.Mount) -> Json:
        """What a flag means, put into `mounts`; what the key has of it."""
        target = absolute(mount.target, self.state.config.workdir)
        if mount.type == "tmpfs":
            self.mounts.append(StepMount("tmpfs", target, read_only=False, size=mount.size or 0))
            return {"tmpfs": target, "size": mount.size}
        if mount.type == "secret":
            return self._secret(instruction, mount, target)
        if mount.type == "ssh":
            return self._ssh(instruction, mount)
        if mount.type == "cache":
            return self._cache(mount, target)
        source = "/".join(resolve.parts_of(mount.source))
        tree = self._tree(mount.from_)
        if tree.context is None:
            self.mounts.append(
                StepMount("tree", target, source, tree.chain, read_only=mount.read_only)
            )
            return {"bind": target, "source": source, "key": tree.key, "ro": mount.read_only}
        found = sources.Sources()
        found.add_context(tree.context, [source or "."], self.room.memory(tree.context))
        place = len(self.mounts)
        self.mounts.append(StepMount("tree", target, read_only=mount.read_only))

        def prepare() -> None:
            chain, path = self._context_layer(found, source)
            made = StepMount("tree", target, path, chain, read_only=mount.read_only)
            self.mounts[place] = made

        self._waiting.append(prepare)
        return {"bind": target, "source": source, "files": found.key, "ro": mount.read_only}

    def _tree(self, name: str) -> Tree:
        if not name:
            return Tree(context=self.room.context)
        tree = self.room.tree(name, self.stage)
        if tree.step:
            self.parents.append(tree.step)
        return tree

    def _context_layer(self, found: sources.Sources, source: str) -> tuple[Chain, str]:
        """A layer with files of a context, for a mount: what is ignored is not in it, and what
        is mounted is exactly what the key speaks of."""
        chosen = found.requests[0]["chosen"]
        single = bool(chosen) and not chosen[0][0]
        name = source.rpartition("/")[2] or "context"
        destination = f"/{name}" if single else "/context"
        key = keys.of_step("", "context", {"sources": found.key, "to": destination})
        layers = self.room.layers
        kept = layers.find(key)
        if kept is None:
            request: dict[str, Json] = {
                "destination": destination,
                "directory": not single,
                "sources": found.requests,
                "single": False,
            }
            kept = Kept(*in_snapshot(layers, (), "copy_worker", request))
            if kept.facts.get("unsure"):
                self.unsure = True
            else:
                layers.remember(key, kept)
        return (kept.layer,) if kept.layer else (), destination.strip("/")

    def _cache(self, mount: instructions.Mount, target: str) -> Json:
        chain: Chain = ()
        key = ""
        source = "/".join(resolve.parts_of(mount.source))
        if mount.from_:
            tree = self._tree(mount.from_)
            if tree.context is not None:
                raise UsageError("--mount=type=cache begins with files of a stage or an image")
            chain, key = tree.chain, tree.key
        identity = mount.id or mount.target
        name = keys.of_cache(identity)
        self.mounts.append(
            StepMount(
                "cache",
                target,
                f"{name}/{source}" if source else name,
                chain,
                read_only=mount.read_only,
                sharing=mount.sharing or "shared",
                mode=0o755 if mount.mode is None else mount.mode,
                uid=mount.uid or 0,
                gid=mount.gid or 0,
            )
        )
        return {"cache": target, "id": identity, "key": key, "source": source}

    def _secret(
        self, instruction: instructions.Run, mount: instructions.Mount, target: str
    ) -> Json:
        name = mount.id or mount.target.rpartition("/")[2]
        given = self.room.options.secrets.get(name)
        as_file = mount.env is None or bool(mount.target)
        if not mount.target:
            target = f"/run/secrets/{name}"
        described = {
            "secret": name,
            "target": target if as_file else "",
            "env": mount.env,
            "mode": mount.mode,
            "uid": mount.uid,
            "gid": mount.gid,
        }
        if given is None:
            if mount.required:
                raise instruction.line.error(
                    f'RUN: the secret "{name}" is required and was not given',
                    hint=f"rootless build --secret id={name},src=FILE",
                )
            return described

        def prepare() -> None:
            data = given()
            if mount.env is not None:
                self.secrets[mount.env or name] = data
            if as_file:
                mode = 0o400 if mount.mode is None else mount.mode
                uid, gid = mount.uid or 0, mount.gid or 0
                self.mounts.append(
                    StepMount("secret", target, data=data, mode=mode, uid=uid, gid=gid)
                )

        self._waiting.append(prepare)
        return described

    def _ssh(self, instruction: instructions.Run, mount: instructions.Mount) -> Json:
        name = mount.id or "default"
        socket = self.room.options.ssh.get(name)
        target = mount.target or f"/run/buildkit/ssh_agent.{len(self.mounts)}"
        if socket is not None:
            mode = 0o600 if mount.mode is None else mount.mode
            uid, gid = mount.uid or 0, mount.gid or 0
            self.mounts.append(StepMount("ssh", target, socket, mode=mode, uid=uid, gid=gid))
        elif mount.required:
            raise instruction.line.error(
                f'RUN: the ssh agent "{name}" is required and was not given',
                hint=f"rootless build --ssh {name}",
            )
        return {"ssh": name, "target": target}
