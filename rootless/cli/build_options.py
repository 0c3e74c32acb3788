"""Values of `build`'s options: secrets, ssh agents, outputs, arguments.  Text in, values out."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.build.request import Annotation, CachePlace, Output

Secrets = dict[str, Callable[[], bytes]]
_MOST_SECRET = 500 << 10  # bytes, as BuildKit


def fields(option: str, text: str, known: Sequence[str]) -> dict[str, str]:
    """`key=value,key=value`; a value may stand in double quotes.  Raises UsageError."""
    import csv

    try:
        rows = list(csv.reader([text]))
    except csv.Error as error:
        raise UsageError(f'{option} "{text}" cannot be taken apart: {error}') from None
    found: dict[str, str] = {}
    for word in rows[0] if rows else []:
        name, equals, value = word.partition("=")
        name = name.strip().lower()
        if not equals or name not in known:
            raise UsageError(
                f'{option} does not know "{word}"', hint="there are " + " ".join(known)
            )
        found[name] = value
    return found


def secrets(texts: Sequence[str]) -> Secrets:
    """--secret id=NAME[,src=FILE|env=VARIABLE].  Nothing is read yet.  Raises UsageError."""
    made: Secrets = {}
    for text in texts:
        given = fields("--secret", text, ("id", "src", "source", "env", "type"))
        kind = given.get("type", "")
        if kind not in ("", "file", "env"):
            raise UsageError(f'--secret: unknown type "{kind}"', hint="file or env")
        source = given.get("src", given.get("source", ""))
        variable = given.get("env", "")
        name = given.get("id", "")
        if not name:
            raise UsageError(f'--secret "{text}" has no id', hint="id=NAME,src=FILE")
        if kind == "env" and not variable:
            variable, source = source or name, ""
        if not source and not variable:
            # as docker: a variable of that name, otherwise a file
            variable = name if name in os.environ else ""
            source = "" if variable else name
        if variable and source:
            raise UsageError(f'--secret "{text}" names a file and a variable')
        if variable:
            if variable not in os.environ:
                raise UsageError(f"--secret id={name}: the variable {variable} is not set")
            made[name] = _of_variable(variable)
        else:
            made[name] = _of_file(name, source)
    return made


def _of_variable(name: str) -> Callable[[], bytes]:
    return lambda: os.environb[os.fsencode(name)]


def _of_file(name: str, path: str) -> Callable[[], bytes]:
    where = os.path.abspath(os.path.expanduser(path))
    if not os.path.isfile(where):
        raise UsageError(f"--secret id={name}: {path} is not a file")

    def read() -> bytes:
        try:
            with open(where, "rb") as file:
                data = file.read(_MOST_SECRET + 1)
        except OSError as error:
            raise UsageError(
                f"--secret id={name}: {path} cannot be read: {(error.strerror or '').lower()}"
            ) from None
        if len(data) > _MOST_SECRET:
            raise UsageError(f"--secret id={name}: {path} is larger than {_MOST_SECRET} bytes")
        return data

    return read


def agents(texts: Sequence[str]) -> dict[str, str]:
    """--ssh default|ID[=SOCKET].  Raises UsageError."""
    made = {}
    for text in texts:
        name, _, path = text.partition("=")
        path = path or os.environ.get("SSH_AUTH_SOCK", "")
        if not path:
            raise UsageError(
                f"--ssh {text}: SSH_AUTH_SOCK is not set",
                hint="start ssh-agent, or name its socket",
            )
        from rootless.engine.build.steps import is_socket

        if not is_socket(path):
            raise UsageError(
                f"--ssh {text}: {path} is not the socket of an agent",
                hint="keys in files are not offered: ssh-add puts them into an agent",
            )
        made[name or "default"] = os.path.abspath(path)
    return made


def pairs(option: str, texts: Sequence[str], *, environment: bool = False) -> dict[str, str]:
    """NAME=VALUE; with `environment` a name alone takes its value there, if there is one."""
    made = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name:
            raise UsageError(f'invalid {option} "{text}"', hint="NAME=VALUE")
        if equals:
            made[name] = value
        elif not environment:
            made[name] = ""
        elif name in os.environ:
            made[name] = os.environ[name]
    return made


def arguments_of_file(path: str) -> dict[str, str]:
    """--build-arg-file: NAME=VALUE a line; # begins a comment.  Raises UsageError."""
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:
            lines = [line.strip() for line in file]
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UsageError(f"--build-arg-file {path}: {why.lower()}") from None
    wanted = [line for line in lines if line and not line.startswith("#")]
    return pairs("--build-arg-file", wanted, environment=True)


def proxies() -> dict[str, str]:
    """Proxy variables of the environment, as arguments that no ARG has to declare."""
    from rootless.build.dockerfile.variables import PROXIES

    return {name: os.environ[name] for name in PROXIES if name in os.environ}


def annotated(texts: Sequence[str], without: Sequence[str]) -> list[Annotation]:
    """--annotation [TYPE[PLATFORM]:]KEY=VALUE, without those keys.  Raises UsageError."""
    from rootless.engine.build.request import ANNOTATED, Annotation

    made = []
    for text in texts:
        head, equals, value = text.partition("=")
        kind, platform, key = "manifest", "", head
        before, colon, after = head.partition(":")
        name, bracket, inside = before.partition("[")
        if colon and name in ANNOTATED and (not bracket or inside.endswith("]")):
            kind, platform, key = name, inside.rstrip("]"), after
        if not key or not equals:
            raise UsageError(f'invalid --annotation "{text}"', hint="[TYPE:]KEY=VALUE")
        if key not in without:
            made.append(Annotation(kind, platform, key, value))
    return made


def provenance(attest: Sequence[str], given: str | None, sbom: str | None) -> str:
    """min, max or "" of --attest, --provenance and --sbom.  Raises UsageError."""
    found = ""
    words = [("--attest", text) for text in attest]
    if given:
        words.append(("--provenance", f"type=provenance,{given}"))
    if sbom:
        words.append(("--sbom", f"type=sbom,{sbom}"))
    for option, text in words:
        # a bare word is whether: --provenance=false
        parts = [f"disabled={'false' if _yes(option, one) else 'true'}"
                 if one and "=" not in one else one for one in text.split(",")]  # fmt: skip
        values = fields(option, ",".join(parts), ("type", "mode", "disabled", "version",
                                                  "generator"))  # fmt: skip
        off = _yes(option, values.get("disabled", "false"))
        kind = values.get("type", "")
        if kind == "sbom" and not off:
            raise UsageError(f"{option}: there is no scanner for a bill of materials here",
                             hint="--provenance says what an image was made of")  # fmt: skip
        if kind not in ("sbom", "provenance"):
            raise UsageError(f'{option}: unknown type "{kind}"', hint="provenance")
        if kind == "sbom":
            continue
        mode = values.get("mode", "min")
        if mode not in ("min", "max") or values.get("version", "v1") != "v1":
            raise UsageError(f'{option} "{text}" is not offered', hint="mode=min or mode=max, v1")
        found = "" if off else mode
    return found


def _yes(option: str, text: str) -> bool:
    from rootless.cli.options import truth

    return truth(option, text)


def seconds(option: str, text: str | None) -> float | None:
    """Return the seconds of `24h`, None for nothing.  Raises UsageError."""
    if not text:
        return None
    from rootless.engine.common import times

    found = 0.0 if text == "0" else times.duration(text)
    if found is None:
        raise UsageError(f'{option} "{text}" is no duration', hint="as in 24h")
    return found


def caches(option: str, texts: Sequence[str]) -> list[CachePlace]:
    """--cache-from and --cache-to: NAME, or type=registry|local|inline,….  Raises UsageError."""
    from rootless.cli.options import truth
    from rootless.engine.build.request import CachePlace

    to = option == "--cache-to"
    known = ["type", "ref", "tag"]
    known += (["dest", "mode", "ignore-error", "image-manifest", "oci-mediatypes"]
              if to else ["src", "digest"])  # fmt: skip
    made = []
    for text in texts:
        given = fields(option, text, known) if "=" in text else {"type": "registry", "ref": text}
        kind = given.get("type", "")
        if kind not in (("registry", "local", "inline") if to else ("registry", "local")):
            raise UsageError(
                f'{option}: there is no cache of the type "{kind}"',
                hint="registry, local" + (" or inline" if to else "; what is inline is registry"),
            )
        for name in ("image-manifest", "oci-mediatypes"):
            if name in given and not truth(f"{option} {name}", given[name]):
                raise UsageError(f"{option}: {name}=false is not offered", hint="leave it out")
        name = {"registry": "ref", "local": "dest" if to else "src"}.get(kind, "")
        where = given.get(name, "")
        if name and not where:
            raise UsageError(f"{option} type={kind} needs {name}=")
        if kind == "registry":
            from rootless.engine.build import build

            build.check_name(where)
        mode = given.get("mode", "min")
        if mode not in ("min", "max") or (mode == "max" and kind == "inline"):
            raise UsageError(f'{option}: mode="{mode}" is not offered with type={kind}',
                             hint="min or max; an image has room for min only")  # fmt: skip
        made.append(
            CachePlace(
                kind,
                where,
                given.get("tag", "latest"),
                given.get("digest", ""),
                mode,
                truth(f"{option} ignore-error", given.get("ignore-error", "false")),
            )  # fmt: skip
        )
    return made


def outputs(texts: Sequence[str]) -> list[Output]:
    """--output DIRECTORY, or type=…,dest=….  Raises UsageError."""
    from rootless.cli.options import truth
    from rootless.engine.build.request import Output

    made = []
    kinds = ("local", "tar", "oci", "docker", "image", "registry")
    for text in texts:
        if "=" not in text:
            made.append(Output("tar" if text == "-" else "local", text))
            continue
        known = ("type", "dest", "name", "push", "tar", "compression", "oci-mediatypes",
                 "rewrite-timestamp")  # fmt: skip
        given = fields("--output", text, known)
        kind = given.get("type", "")
        if kind not in kinds:
            raise UsageError(
                f'--output: unknown type "{kind}"', hint="there are " + " ".join(kinds)
            )
        for name in ("compression", "tar", "oci-mediatypes"):
            if name in given:
                raise UsageError(f"--output: {name}= is not offered", hint="leave it out")
        target = given.get("dest", "")
        if kind in ("local", "tar") and not target:
            raise UsageError(f"--output type={kind} needs dest=PATH")
        if kind in ("oci", "docker") and not target:
            # docker's own exporter without a file is the local store
            kind, target = ("image", "") if kind == "docker" else (kind, "-")
        if kind == "registry":
            kind, given = "image", {**given, "push": "true"}
        elif "push" in given:
            given["push"] = "true" if truth("--output push", given["push"]) else "false"
        made.append(Output(kind, target, given))
    return made
