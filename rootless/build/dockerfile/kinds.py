"""The instructions of a Dockerfile as values, one frozen class each.

Fields hold the text before expansion.  `expands` names the fields in which variables are replaced;
`expanded(lookup)` returns the instruction with that done and the results checked.

Scope: pure.  `instructions.read` makes them of lines.
"""

from __future__ import annotations

from rootless.build.dockerfile import values
from rootless.build.dockerfile.expansion import ExpansionError, Lookup, Unset, expand, expand_words
from rootless.build.dockerfile.frozen import Frozen
from rootless.build.dockerfile.mounts import Device, Mount, parse_mount
from rootless.build.dockerfile.parser import Heredoc, Line, parse_heredoc
from rootless.build.dockerfile.source import DockerfileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, Self


class Instruction(Frozen):
    """Any instruction.  `line`: where it stands, and what `error` needs to point at it."""

    line: Line
    expands: ClassVar[tuple[str, ...]] = ()

    @property
    def keyword(self) -> str:
        """The instruction's name, in capital letters."""
        return self.line.keyword

    def expanded(self, lookup: Lookup, *, unset: Unset | None = None) -> Self:
        """Replace the variables.  Raises DockerfileError, with the place."""
        return self._with(_Expander(self.line, lookup, unset))

    def _with(self, expander: _Expander) -> Self:
        changes: dict[str, Any] = {}
        for name in self.expands:
            value = getattr(self, name)
            changes[name] = (
                tuple(expander.word(item) for item in value)
                if isinstance(value, tuple)
                else expander.word(value)
            )
        return self.replace(**changes) if changes else self


class _Expander:
    """Expands words of one instruction; its errors have the instruction's place."""

    def __init__(self, line: Line, lookup: Lookup, unset: Unset | None) -> None:
        self.line = line
        self._lookup = lookup
        self._unset = unset

    def word(self, text: str) -> str:
        try:
            return expand(text, self._lookup, escape=self.line.escape, unset=self._unset)
        except ExpansionError as error:
            raise self._placed(error) from None

    def words(self, text: str) -> list[str]:
        try:
            return expand_words(text, self._lookup, escape=self.line.escape, unset=self._unset)
        except ExpansionError as error:
            raise self._placed(error) from None

    def document(self, text: str) -> str:
        # in a here-document quotes are text, and the escape character is always \
        try:
            return expand(text, self._lookup, quotes=False, unset=self._unset)
        except ExpansionError as error:
            raise self._placed(error) from None

    def _placed(self, error: ExpansionError) -> DockerfileError:
        return self.line.error(
            f"{self.line.keyword}: {error.message}", near=error.word, hint=error.hint
        )


class From(Instruction):
    """`FROM [--platform=…] image [AS name]`.  `name` is as written; stages compare in small."""

    image: str = ""
    name: str = ""
    platform: str = ""
    # how AS was written, for the rule that wants it like FROM
    as_word: str = ""
    expands: ClassVar[tuple[str, ...]] = ("image", "platform")


class Arg(Instruction):
    """`ARG name[=default]…`.  Defaults expand one by one: a later one sees an earlier one.

    `expanded` leaves them: what a default means depends on what was passed, see `stages`.
    """

    args: tuple[tuple[str, str | None], ...] = ()


class Env(Instruction):
    """`ENV name=value…`; `legacy`: written as `ENV name value`."""

    pairs: tuple[tuple[str, str], ...] = ()
    legacy: bool = False
    expands: ClassVar[tuple[str, ...]] = ("pairs",)

    def _with(self, expander: _Expander) -> Self:
        return self.replace(pairs=_expanded_pairs(self.pairs, expander))


class Label(Instruction):
    """`LABEL name=value…`; `legacy`: written as `LABEL name value`."""

    pairs: tuple[tuple[str, str], ...] = ()
    legacy: bool = False
    expands: ClassVar[tuple[str, ...]] = ("pairs",)

    def _with(self, expander: _Expander) -> Self:
        return self.replace(pairs=_expanded_pairs(self.pairs, expander))


class Maintainer(Instruction):
    """`MAINTAINER name`, which a label has replaced.  Variables stay as they are."""

    name: str = ""


class Run(Instruction):
    """`RUN [flags] command`.

    `shell` is the command in shell form, `argv` in exec form (None in shell form).  `mounts` are
    read from `mount_flags` when the variables in them are known; `expanded` does so.
    """

    shell: str = ""
    argv: tuple[str, ...] | None = None
    heredocs: tuple[Heredoc, ...] = ()
    mount_flags: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    network: str = "default"
    security: str = "sandbox"
    devices: tuple[Device, ...] = ()
    expands: ClassVar[tuple[str, ...]] = ("mount_flags", "devices")

    def _with(self, expander: _Expander) -> Self:
        return self.replace(
            mounts=tuple(parse_mount(self.line, flag, expander.word) for flag in self.mount_flags),
            devices=tuple(d.replace(name=expander.word(d.name)) for d in self.devices),
        )

    @property
    def script(self) -> Heredoc | None:
        """The here-document that is the whole command (`RUN <<E`), if it is so."""
        if self.argv is None and len(self.heredocs) >= 1:
            named = parse_heredoc(self.shell)
            return self.heredocs[0] if named is not None else None
        return None

    @property
    def shell_text(self) -> str:
        """What the shell is given: the command, or the script, or both with here-documents.

        Empty in exec form.  A script that begins with `#!` is not for the shell: see `shebang`.
        """
        script = self.script
        if script is not None:
            return script.content
        return "\n".join(
            [self.shell, *(document.text + document.name for document in self.heredocs)]
        )

    @property
    def shebang(self) -> Heredoc | None:
        """The script that is to be executed as a file of its name, because it begins with `#!`."""
        script = self.script
        return script if script is not None and script.text.startswith("#!") else None


class Inline(Frozen):
    """A source of COPY or ADD that stands in the Dockerfile as a here-document."""

    name: str
    text: str
    expand: bool = True


class Copying(Instruction):
    """What COPY and ADD have in common.

    `sources` and `inline` are the two kinds of sources; `link` is None where the flag was not
    given.
    """

    sources: tuple[str, ...] = ()
    inline: tuple[Inline, ...] = ()
    destination: str = ""
    chown: str = ""
    chmod: str = ""
    link: bool | None = None
    exclude: tuple[str, ...] = ()
    expands: ClassVar[tuple[str, ...]] = (
        "sources",
        "inline",
        "destination",
        "chown",
        "chmod",
        "exclude",
    )

    def _with(self, expander: _Expander) -> Self:
        sources = tuple(expander.word(source) for source in self.sources)
        destination = expander.word(self.destination)
        written = (*self.sources, self.destination)
        for before, word in zip(written, (*sources, destination), strict=True):
            if not word:
                raise self.line.error(
                    f'{self.keyword}: "{before}" is empty once its variables are replaced',
                    near=before,
                )
        chown, chmod = expander.word(self.chown), expander.word(self.chmod)
        values.owner(self.line, chown)
        values.mode(self.line, chmod)
        return self.replace(
            sources=sources,
            inline=tuple(
                i.replace(text=expander.document(i.text)) if i.expand else i for i in self.inline
            ),
            destination=destination,
            chown=chown,
            chmod=chmod,
            exclude=tuple(expander.word(pattern) for pattern in self.exclude),
        )


class Copy(Copying):
    """`COPY [flags] source… destination`.  `from_`: stage, image or context; no variables there."""

    from_: str = ""
    parents: bool | None = None


class Add(Copying):
    """`ADD [flags] source… destination`: as COPY from the context, with URLs and archives.

    `unpack`: None unpacks archives of the context and no others.
    """

    checksum: str = ""
    keep_git_dir: bool | None = None
    unpack: bool | None = None
    expands: ClassVar[tuple[str, ...]] = (*Copying.expands, "checksum")

    def _with(self, expander: _Expander) -> Self:
        checksum = expander.word(self.checksum)
        values.checksum(self.line, checksum)
        return super()._with(expander).replace(checksum=checksum)


class Cmd(Instruction):
    """`CMD`: `argv` in exec form, else `shell`."""

    shell: str = ""
    argv: tuple[str, ...] | None = None


class Entrypoint(Instruction):
    """`ENTRYPOINT`: `argv` in exec form, else `shell`."""

    shell: str = ""
    argv: tuple[str, ...] | None = None


class Expose(Instruction):
    """`EXPOSE port[-port][/protocol]…`.  After `expanded`, `ports` is like `80/tcp`, one each."""

    ports: tuple[str, ...] = ()
    expands: ClassVar[tuple[str, ...]] = ("ports",)

    def _with(self, expander: _Expander) -> Self:
        words = [word for port in self.ports for word in expander.words(port)]
        return self.replace(ports=values.ports(self.line, words))


class Volume(Instruction):
    """`VOLUME path…`."""

    paths: tuple[str, ...] = ()
    expands: ClassVar[tuple[str, ...]] = ("paths",)

    def _with(self, expander: _Expander) -> Self:
        paths = tuple(expander.word(path) for path in self.paths)
        if not all(paths):
            raise self.line.error("VOLUME: the path is empty once its variables are replaced")
        return self.replace(paths=paths)


class User(Instruction):
    """`USER user[:group]`."""

    user: str = ""
    expands: ClassVar[tuple[str, ...]] = ("user",)


class Workdir(Instruction):
    """`WORKDIR path`."""

    path: str = ""
    expands: ClassVar[tuple[str, ...]] = ("path",)


class Onbuild(Instruction):
    """`ONBUILD instruction`.  `trigger`: as the image keeps it; `inner`: what it will be."""

    trigger: str = ""
    inner: Instruction | None = None


class Stopsignal(Instruction):
    """`STOPSIGNAL name or number`."""

    signal: str = ""
    expands: ClassVar[tuple[str, ...]] = ("signal",)

    def _with(self, expander: _Expander) -> Self:
        signal = expander.word(self.signal)
        values.signal(self.line, signal)
        return self.replace(signal=signal)


class Healthcheck(Instruction):
    """`HEALTHCHECK NONE`, or `CMD` with options; times in nanoseconds, 0 where not given.

    `test` is as in the image: `("NONE",)`, `("CMD", …)` or `("CMD-SHELL", text)`.
    """

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class Shell(Instruction):
    """`SHELL ["program", "argument"…]`."""

    argv: tuple[str, ...] = ()


def _expanded_pairs(
    pairs: tuple[tuple[str, str], ...], expander: _Expander
) -> tuple[tuple[str, str], ...]:
    result = []
    for name, value in pairs:
        key = expander.word(name)
        if not key:
            raise expander.line.error(
                f"{expander.line.keyword}: a name is empty once its variables are replaced",
                near=name,
            )
        result.append((key, expander.word(value)))
    return tuple(result)
