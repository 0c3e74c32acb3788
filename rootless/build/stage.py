"""One stage: its instructions one after the other, on a configuration and a chain of layers.

Scope: what each instruction does; which stages there are and when they run is `executor`'s.
Secrets go from who provides them to the step that asks, and nowhere else: they are in no key, no
history, no event.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence

from rootless.build import config as configuration
from rootless.build import hashing, keys, run_mounts, sources
from rootless.build.contexts import Context, git
from rootless.build.dockerfile import instructions
from rootless.build.dockerfile.parser import Line
from rootless.build.dockerfile.source import DockerfileError
from rootless.build.dockerfile.stages import Stage
from rootless.build.protocols import Kept, Process, Settled, StepMount
from rootless.build.run_mounts import in_snapshot
from rootless.build.state import Room, State, Tree
from rootless.errors import Interrupted, NotFound, RootlessError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json


class Left:
    """What there was before a step that failed: files and configuration, and its environment."""

    def __init__(self, state: State, stage: Stage, environment: Mapping[str, str]) -> None:
        self.state = state
        self.stage = stage
        self.environment = environment
        # where somebody keeps it, by which id
        self.image = ""


class StepFailed(RootlessError):
    """A command of RUN ended with another status than 0.

    `line`: where it stands; `argv`: the command; `status`: how it ended; `left`: what there was
    before it.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        line: Line | None = None,
        argv: Sequence[str] = (),
        status: int = 1,
        left: Left | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.left = left
        self.line = line
        self.argv = list(argv)
        self.status = status


class StageRun:
    """Carries out one stage."""

    def __init__(
        self,
        room: Room,
        stage: Stage,
        state: State,
        count: int,
        total: int,
        *,
        settled: Settled | None = None,
    ) -> None:
        """`settled` is given the layers of a stage whose files the image will have."""
        self.room = room
        self.settled = settled
        self.stage = stage
        self.state = state
        self.count = count
        self.total = total
        assert state.variables is not None
        self.variables = state.variables

    def run(self, instructions: Sequence[instructions.Instruction]) -> None:
        """All of them.  Raises what fails, with its place."""
        for instruction in instructions:
            if self.room.cancel.is_set():
                raise Interrupted("the build was ended")
            self.one(instruction)

    def one(self, written: instructions.Instruction) -> None:
        """One instruction."""
        lookup = self.variables.lookup
        instruction = written if isinstance(written, instructions.Arg) else written.expanded(lookup)
        name = type(instruction).__name__.lower()
        handler: Callable[[instructions.Instruction], None] = getattr(self, "_" + name)
        handler(instruction)

    # ------------------------------------------------------------ what changes no file

    def _noted(self, text: str) -> None:
        self.state.config.record(self.state.created, text, empty=True)

    def _arg(self, instruction: instructions.Arg) -> None:
        pairs = self.variables.declare(instruction)
        shown = [name if value is None else f"{name}={value}" for name, value in pairs]
        self._noted("ARG " + " ".join(shown))

    def _env(self, instruction: instructions.Env) -> None:
        self.state.config.set_env(instruction.pairs)
        for name, value in instruction.pairs:
            self.variables.set(name, value)
        self._noted("ENV " + " ".join(f"{name}={value}" for name, value in instruction.pairs))

    def _label(self, instruction: instructions.Label) -> None:
        self.state.config.set_labels(instruction.pairs)
        self._noted("LABEL " + " ".join(f"{name}={value}" for name, value in instruction.pairs))

    def _maintainer(self, instruction: instructions.Maintainer) -> None:
        self.state.config.set_author(instruction.name)
        self._noted(f"MAINTAINER {instruction.name}")

    def _argv(self, instruction: instructions.Cmd | instructions.Entrypoint) -> list[str]:
        if instruction.argv is not None:
            return list(instruction.argv)
        return [*self.state.config.shell, instruction.shell]

    def _cmd(self, instruction: instructions.Cmd) -> None:
        argv = self._argv(instruction)
        self.state.config.set_command(argv)
        self._noted(f"CMD {_listed(argv)}")

    def _entrypoint(self, instruction: instructions.Entrypoint) -> None:
        argv = self._argv(instruction)
        self.state.config.set_entrypoint(argv)
        self._noted(f"ENTRYPOINT {_listed(argv)}")

    def _expose(self, instruction: instructions.Expose) -> None:
        self.state.config.expose(instruction.ports)
        self._noted("EXPOSE " + " ".join(instruction.ports))

    def _volume(self, instruction: instructions.Volume) -> None:
        self.state.config.add_volumes(instruction.paths)
        self._noted("VOLUME " + " ".join(instruction.paths))

    def _user(self, instruction: instructions.User) -> None:
        self.state.config.set_user(instruction.user)
        self._noted(f"USER {instruction.user}")

    def _stopsignal(self, instruction: instructions.Stopsignal) -> None:
        self.state.config.set_stop_signal(instruction.signal)
        self._noted(f"STOPSIGNAL {instruction.signal}")

    def _shell(self, instruction: instructions.Shell) -> None:
        self.state.config.set_shell(instruction.argv)
        self._noted(f"SHELL {_listed(instruction.argv)}")

    def _onbuild(self, instruction: instructions.Onbuild) -> None:
        self.state.config.add_trigger(instruction.trigger)
        self._noted(f"ONBUILD {instruction.trigger}")

    def _healthcheck(self, instruction: instructions.Healthcheck) -> None:
        check: Json = {"Test": list(instruction.test)}
        for key, value in (
            ("Interval", instruction.interval),
            ("Timeout", instruction.timeout),
            ("StartPeriod", instruction.start_period),
            ("StartInterval", instruction.start_interval),
            ("Retries", instruction.retries),
        ):
            if value:
                check[key] = value
        self.state.config.set_healthcheck(check)
        self._noted(f"HEALTHCHECK {_listed(instruction.test)}")

    # ------------------------------------------------------------ what changes files

    def _step(
        self,
        instruction: instructions.Instruction,
        key: str,
        text: str,
        work: Callable[[int], tuple[str, dict[str, Json]]],
        *,
        parents: Sequence[int] = (),
        again: Callable[[], str] | None = None,
        apart: bool = False,
    ) -> None:
        """A step that may be in the cache.  `work(number)` does it and gives its layer and facts;
        `again` gives another key, which costs more to make; `apart`: its layer needs none below."""
        state, room = self.state, self.room
        self.count += 1
        place = f"{room.options.step_title}{self.stage.label} {self.count}/{self.total}"
        title = f"[{place}] {_title(instruction.line)}"
        number = room.progress.step(title, [state.step, *parents] if state.step else parents)
        fresh = room.options.no_cache or self.stage.name in room.options.no_cache_filter
        kept = None if fresh else room.layers.find(key)
        other = ""
        unsure = False
        if kept is None and again is not None and not fresh:
            other = again()
            kept = room.layers.find(other)
            if kept is not None:
                room.layers.remember(key, kept)
        if kept is not None:
            room.progress.state(number, "cached", digest=key)
        else:
            room.progress.state(number, "started", digest=key)
            try:
                layer, facts = work(number)
            except BaseException as error:
                canceled = isinstance(error, Interrupted) or room.cancel.is_set()
                room.progress.state(
                    number, "canceled" if canceled else "failed", error=str(error), digest=key
                )
                raise _placed(error, instruction.line) from None
            unsure = bool(facts.pop("unsure", False))
            kept = Kept(layer, {"created": time.time(), **facts})
            if unsure:
                # neither it nor what follows may be found by a key of other files
                key = keys.of_step(key, "unsure", os.urandom(16).hex())
                room.warn(
                    instruction.line,
                    "files of the context were changed while they were copied: "
                    "this step and those after it are not found in the cache again",
                )
            else:
                room.layers.remember(key, kept)
                if other:
                    room.layers.remember(other, kept)
            room.progress.state(number, "done", digest=key)
        if not unsure:
            room.layers.used(key, kept, () if apart else state.chain)
        state.created = float(kept.facts.get("created") or state.created)
        state.config.record(state.created, text, empty=not kept.layer)
        if kept.layer:
            if self.settled is not None:
                self.settled(kept.layer, state.chain)
            state.chain = (*state.chain, kept.layer)
        state.key = keys.of_step(state.key, "apart", key) if apart else key
        state.step = number

    def _workdir(self, instruction: instructions.Workdir) -> None:
        state = self.state
        path = state.config.set_workdir(instruction.path)
        user = state.config.user
        key = keys.of_step(state.key, "workdir", {"path": path, "user": user})

        def work(number: int) -> tuple[str, dict[str, Json]]:
            request: dict[str, Json] = {"path": path, "user": user, "single": False}
            return in_snapshot(self.room.layers, state.chain, "workdir_worker", request)

        self._step(instruction, key, f"WORKDIR {path}", work)

    # COPY and ADD

    def _copy(self, instruction: instructions.Copy) -> None:
        found = sources.Sources()
        parents: list[int] = []
        try:
            self._inline(found, instruction.inline)
            if instruction.sources:
                if instruction.from_:
                    tree = self.room.tree(instruction.from_, self.stage)
                    if tree.step:
                        parents.append(tree.step)
                else:
                    tree = Tree(context=self.room.context)
                self._from_tree(
                    found, tree, instruction.sources, instruction.exclude,
                    parents=bool(instruction.parents),
                )  # fmt: skip
        except (NotFound, UsageError) as error:
            raise _placed(error, instruction.line) from None
        self._copied(instruction, found, parents)

    def _from_tree(
        self,
        found: sources.Sources,
        tree: Tree,
        names: Sequence[str],
        exclude: Sequence[str],
        *,
        parents: bool,
        unpack: str = "",
    ) -> None:
        if tree.context is not None:
            memory = self.room.memory(tree.context)
            found.add_context(
                tree.context, names, memory, parents=parents, exclude=exclude, unpack=unpack
            )
        else:
            found.add_tree(tree.chain, tree.key, names, parents=parents, exclude=exclude)

    def _inline(self, found: sources.Sources, inline: Sequence[instructions.Inline]) -> None:
        for one in inline:
            found.add_text(one.name, one.text.encode("utf-8", "surrogateescape"))

    def _add(self, instruction: instructions.Add) -> None:
        found = sources.Sources()
        layers = self.room.layers
        try:
            self._inline(found, instruction.inline)
            for word in instruction.sources:
                if git.is_repository(word):
                    self._repository(found, instruction, word)
                elif sources.is_address(word):
                    path, _, digest, when = layers.fetch(word, instruction.checksum)
                    found.temporary.append(os.path.dirname(path))
                    unpack = layers.unpacker if instruction.unpack else ""
                    found.add_file(path, sources.name_of(word), digest, when, unpack)
                else:
                    unpack = "" if instruction.unpack is False else layers.unpacker
                    self._from_tree(
                        found, Tree(context=self.room.context), [word], instruction.exclude,
                        parents=False, unpack=unpack,
                    )  # fmt: skip
            self._copied(instruction, found, [])
        except (NotFound, UsageError) as error:
            raise _placed(error, instruction.line) from None
        finally:
            for path in found.temporary:
                import shutil

                shutil.rmtree(path, ignore_errors=True)

    def _repository(self, found: sources.Sources, instruction: instructions.Add, word: str) -> None:
        import tempfile

        temporary = tempfile.mkdtemp(prefix="git-", dir=self.room.scratch)
        found.temporary.append(temporary)
        fetched = git.checkout(
            word, temporary, keep_git=bool(instruction.keep_git_dir), secret=self._secret,
            ssh_agent=self.room.options.ssh.get("default", ""), reach=self.room.layers.reach,
        )  # fmt: skip
        if instruction.checksum and not fetched.commit.startswith(instruction.checksum):
            raise UsageError(
                f"{fetched.shown} has the commit {fetched.commit}, not {instruction.checksum}"
            )
        found.add_context(
            Context(fetched.path), ["."], hashing.Memory(""), exclude=instruction.exclude
        )

    def _secret(self, name: str) -> bytes | None:
        given = self.room.options.secrets.get(name)
        return given() if given is not None else None

    def _copied(
        self,
        instruction: instructions.Copy | instructions.Add,
        found: sources.Sources,
        parents: list[int],
    ) -> None:
        state, layers = self.state, self.room.layers
        destination, directory = _destination(instruction.destination, state.config.workdir)
        several = len(found.requests) > 1 or len(instruction.sources) > 1
        archive = isinstance(instruction, instructions.Add)
        if several and not directory and not archive:
            raise instruction.line.error(
                f"{instruction.keyword}: several sources go into a directory, and "
                f'"{instruction.destination}" does not end with a slash',
                near=instruction.destination,
                hint=f"write {instruction.destination}/",
            )
        values: Json = {
            "destination": destination,
            "directory": directory,
            "chown": instruction.chown,
            "chmod": instruction.chmod,
        }
        named = any(
            part and not (part.isascii() and part.isdigit())
            for part in instruction.chown.split(":")
        )
        # a name is looked up in the files below, which a layer of its own would not have
        apart = bool(instruction.link) and not named
        base = "" if apart else state.key
        key = keys.of_step(base, "copy", {**values, "sources": found.key})

        def again() -> str:
            return keys.of_step(base, "copy", {**values, "sources": found.by_content(layers)})

        def work(number: int) -> tuple[str, dict[str, Json]]:
            request: dict[str, Json] = {**values, "sources": found.requests, "single": False}
            parent = () if apart else state.chain
            return in_snapshot(layers, parent, "copy_worker", request, found.trees)

        text = f"{instruction.keyword} {_sources_text(instruction)} {instruction.destination}"
        self._step(
            instruction, key, text, work, parents=parents, again=again if found.trees else None,
            apart=apart,
        )  # fmt: skip

    # RUN

    def _run(self, instruction: instructions.Run) -> None:
        state, options = self.state, self.room.options
        wanted = run_mounts.RunMounts(self.room, self.stage, state)
        try:
            wanted.take(instruction)
        except (NotFound, UsageError) as error:
            raise _placed(error, instruction.line) from None
        argv = self._command(instruction, wanted)
        environment = {"PATH": configuration.DEFAULT_PATH, **self.variables.environment}
        network = options.network if instruction.network == "default" else instruction.network
        self._allowed(instruction, network)
        values: Json = {
            "argv": argv,
            "environment": environment,
            "user": state.config.user,
            "cwd": state.config.workdir,
            "network": network,
            "security": instruction.security,
            "mounts": wanted.described,
            "hosts": list(options.add_hosts),
        }
        key = keys.of_step(state.key, "run", values)
        process = Process(
            argv=argv,
            environment={**self.variables.proxies, **environment},
            user=state.config.user,
            cwd=state.config.workdir,
            mounts=wanted.mounts,
            network=network,
            security=instruction.security,
            secrets=wanted.secrets,
            name=_title(instruction.line),
        )

        def work(number: int) -> tuple[str, dict[str, Json]]:
            wanted.prepare()
            layer, facts = self._executed(instruction, process, number)
            return layer, {**facts, "unsure": wanted.unsure}

        declared = [
            f"{name}={value}"
            for name, value in self.variables.declared.items()
            if value is not None
        ]
        counted = f"|{len(declared)} {' '.join(declared)} " if declared else ""
        self._step(instruction, key, f"RUN {counted}{' '.join(argv)}", work, parents=wanted.parents)

    def _allowed(self, instruction: instructions.Run, network: str) -> None:
        allow = self.room.options.allow
        wanted = []
        if network == "host":
            wanted.append("network.host")
        if instruction.security == "insecure":
            wanted.append("security.insecure")
        if instruction.devices:
            wanted.append("device")
        for one in wanted:
            if one not in allow:
                raise instruction.line.error(
                    f"RUN: this step wants {one}, which the build does not allow",
                    hint=f"rootless build --allow {one}",
                )

    def _command(self, instruction: instructions.Run, wanted: run_mounts.RunMounts) -> list[str]:
        if instruction.argv is not None:
            return list(instruction.argv)
        script = instruction.shebang
        if script is None:
            return [*self.state.config.shell, instruction.shell_text]
        target = f"/dev/pipes/{script.name.rpartition('/')[2] or 'script'}"
        data = script.content.encode("utf-8", "surrogateescape")
        wanted.mounts.append(StepMount("text", target, data=data, mode=0o755))
        wanted.described.append({"text": script.content})
        return [target]

    def _executed(
        self, instruction: instructions.Run, process: Process, number: int
    ) -> tuple[str, dict[str, Json]]:
        room = self.room
        snapshot = room.layers.begin(self.state.chain)
        try:
            with room.running():  # type: ignore[attr-defined]
                status = room.steps.run(
                    snapshot,
                    process,
                    lambda stream, data: room.progress.log(number, stream, data),
                    room.cancel,
                )
        except BaseException:
            room.layers.abandon(snapshot)
            raise
        if status:
            room.layers.abandon(snapshot)
            raise StepFailed(
                f"{instruction.line.place}: RUN {_shortened(instruction)} ended with status "
                f"{status}",
                line=instruction.line,
                argv=process.argv,
                status=status,
                left=Left(self.state, self.stage, process.environment),
            )
        return room.layers.finish(snapshot), {}


def _placed(error: BaseException, line: Line) -> BaseException:
    """An error of something that knows no Dockerfile, with the place."""
    if isinstance(error, DockerfileError | Interrupted | StepFailed):
        return error
    if isinstance(error, NotFound | UsageError):
        return line.error(f"{line.keyword}: {error.message}", hint=error.hint)
    if isinstance(error, RootlessError):
        error.message = f"{line.place}: {line.keyword}: {error.message}"
        error.args = (error.message,)
    return error


def _destination(text: str, workdir: str) -> tuple[str, bool]:
    """The path, and whether it is meant as a directory."""
    last = text.rpartition("/")[2]
    return run_mounts.absolute(text, workdir), last in ("", ".", "..")


def _sources_text(instruction: instructions.Copy | instructions.Add) -> str:
    named = [sources.shown(one) for one in instruction.sources]
    return " ".join([*named, *(f"<<{one.name}" for one in instruction.inline)])


def _listed(argv: Sequence[str]) -> str:
    from rootless import documents

    return documents.dumps(list(argv))


def _title(line: Line) -> str:
    text = " ".join(line.original.split("\n")[0].split())
    if "://" in text:
        text = " ".join(sources.shown(one) for one in text.split(" "))
    return text if len(text) <= 120 else text[:117] + "..."


def _shortened(instruction: instructions.Run) -> str:
    text = " ".join((instruction.shell or " ".join(instruction.argv or ())).split())
    return text if len(text) <= 80 else text[:77] + "..."
