"""`rootless bake`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, several, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rootless.build.bake import Definition, Target
    from rootless.cli.options import Call
    from rootless.documents import Json
    from rootless.engine.build.delivery import Built
    from rootless.engine.engine import Engine

_FILES = ("docker-bake.json", "docker-bake.override.json")
_OTHERS = ("docker-bake.hcl", "docker-bake.override.hcl", "compose.yaml", "compose.yml",
           "docker-compose.yml", "docker-compose.yaml")  # fmt: skip
_MOST = 4 << 20  # bytes of a bake file
_ALLOWED = ("network.host", "security.insecure")

VERB = Verb(
    "bake",
    "[TARGET...]",
    "Build the targets of a bake file",
    (
        several("-f --file", "FILE", "Bake file (default: docker-bake.json and "
                "docker-bake.override.json)", complete="file"),
        several("--set", "TARGET.KEY=VALUE", "Override a value of targets"),
        several("--allow", "ENTITLEMENT",
                "Allow what targets want: network.host or security.insecure"),
        several("--var", "NAME=VALUE", "Set a variable"),
        flag("--print", "Print the targets without building"),
        flag("--no-cache", "Do not use the cache for any target"),
        text("--pull", "POLICY", "Pull base images of all targets: always, missing, newer or never",
             complete="always missing newer never", bare="always"),
        flag("--push", "Push the images of all targets"),
        flag("--load", "Keep the images beside what their output asks for"),
        text("--provenance", "BOOL|mode=MODE", "Attest what the images were made of",
             bare="true"),
        text("--metadata-file", "FILE", "Write the metadata of all builds to a file",
             complete="file"),
        text("--progress", "MODE", "Progress output of builds: auto, plain, tty, rawjson or quiet",
             complete="auto plain tty rawjson quiet"),
    ),
    text="TARGET is a target or a group of the file (default: default). A context target:NAME is "
    "the result of another target. Files are JSON; ${NAME} is a variable, which the environment "
    "sets.",
    examples="rootless bake\nrootless bake --print web\n"
    "rootless bake --set '*.platform=linux/amd64' --push web worker",
)  # fmt: skip


def run(call: Call) -> int:
    """Read, print or build."""
    from rootless import documents
    from rootless.cli import output

    given = call.options
    definition = _read(given)
    names = definition.chosen(call.words)
    if given["print"]:
        output.write(documents.dumps(_shown(definition, names), indent=True) + "\n")
        return 0
    return _build(call.engine(), definition, names, given)


def _read(given: dict[str, Json]) -> Definition:
    import os
    import sys

    from rootless.build import bake
    from rootless.cli import build_options
    from rootless.errors import UsageError

    paths = given["file"] or [one for one in _FILES if os.path.exists(one)]
    if not paths:
        there = [one for one in _OTHERS if os.path.exists(one)]
        hint = f"{there[0]} is not JSON: docker buildx bake --print writes it so" if there else ""
        raise UsageError("there is no docker-bake.json here", hint=hint or "-f FILE")
    files = []
    for path in paths:
        try:
            if path == "-":
                data = sys.stdin.buffer.read(_MOST + 1)
            else:
                with open(path, "rb") as file:
                    data = file.read(_MOST + 1)
        except OSError as error:
            raise UsageError(f"{path}: {(error.strerror or '').lower()}") from None
        if len(data) > _MOST:
            raise UsageError(f"{path} is larger than {_MOST} bytes")
        files.append((path, data))
    environment = {**os.environ, **build_options.pairs("--var", given["var"])}
    return bake.read(files, environment, given["set"])


def _shown(definition: Definition, names: list[str]) -> dict[str, Json]:
    """What --print prints: the targets as they would be built."""
    targets = {}
    for name in definition.ordered(names):
        target = definition.resolved(name)
        target.setdefault("context", ".")
        if "dockerfile-inline" not in target:
            target.setdefault("dockerfile", "Dockerfile")
        targets[name] = dict(sorted(target.items()))
    return {"group": {"default": {"targets": names}}, "target": targets}


def _build(engine: Engine, definition: Definition, names: list[str], given: dict[str, Json]) -> int:
    from rootless import documents
    from rootless.build.dockerfile.source import DockerfileError
    from rootless.cli import build_progress
    from rootless.cli.verbs import build as single
    from rootless.engine.build import build
    from rootless.errors import UsageError

    mode = given["progress"] or "auto"
    if mode not in build_progress.MODES:
        raise UsageError(f'unknown --progress "{mode}"', hint=", ".join(build_progress.MODES))
    ordered = definition.ordered(names)
    requests = [
        (name, _given(name, definition.resolved(name), given, name in names)) for name in ordered
    ]
    made: dict[str, Built] = {}
    told: dict[str, Json] = {}
    for name, (options, target) in requests:
        request = _request(options, target, made)
        display = build_progress.choose(mode)
        try:
            made[name] = build.build(engine, request, display.take)
        except DockerfileError as error:
            excerpt = f"\n{error.excerpt}" if error.excerpt else ""
            error.message = f"{name}: {error.message}{excerpt}"
            raise
        finally:
            display.close()
        if name in names:
            told[name] = single.metadata(made[name])
    if given["metadata_file"]:
        single.write(given["metadata_file"], documents.dumps(told, indent=True) + "\n")
    return 0


def _given(
    name: str, target: Target, given: dict[str, Json], wanted: bool
) -> tuple[dict[str, Json], Target]:
    """The options of `build` that a target stands for."""
    import os

    from rootless.cli import options
    from rootless.cli.verbs import build as single
    from rootless.errors import UsageError

    made, _ = options.parse(single.VERB.options, [], stop_early=False)
    allow = {one for word in given["allow"] for one in word.split(",")}
    for one in target.get("entitlements", ()):
        if one not in _ALLOWED or one not in allow:
            raise UsageError(f"the target {name} wants {one}", hint=f"rootless bake --allow {one}")
    context = target.get("context", ".")
    dockerfile = target.get("dockerfile")
    if dockerfile and os.path.isdir(context):
        dockerfile = os.path.join(context, dockerfile)
    made |= {
        "file": dockerfile,
        "build_arg": _pairs(target.get("args")),
        "build_context": _pairs(target.get("contexts")),
        "label": _pairs(target.get("labels")),
        "add_host": [f"{host}:{at}" for host, at in (target.get("extra-hosts") or {}).items()],
        "target": target.get("target"),
        "platform": list(target.get("platforms", ())),
        "secret": list(target.get("secret", ())),
        "ssh": list(target.get("ssh", ())),
        "allow": list(target.get("entitlements", ())),
        "network": target.get("network"),
        "shm_size": target.get("shm-size"),
        "ulimit": list(target.get("ulimits", ())),
        "no_cache": given["no_cache"] or target.get("no-cache"),
        "no_cache_filter": list(target.get("no-cache-filter", ())),
        "pull": given["pull"] or ("always" if target.get("pull") else None),
        "cache_from": list(target.get("cache-from", ())),
    }
    if wanted:
        made |= {
            "tag": list(target.get("tags", ())),
            "output": list(target.get("output", ())),
            "annotation": list(target.get("annotations", ())),
            "attest": list(target.get("attest", ())),
            "provenance": given["provenance"],
            "cache_to": list(target.get("cache-to", ())),
            "push": given["push"],
            "load": given["load"],
        }
    return made, target


def _pairs(table: Mapping[str, str] | None) -> list[str]:
    return [f"{key}={value}" for key, value in (table or {}).items()]


def _request(options: dict[str, Json], target: Target, made: Mapping[str, Built]) -> Json:
    """The request, with the images of the targets that this one is linked to."""
    from rootless.cli.verbs import _build_request
    from rootless.errors import UsageError

    links = []
    for pair in options["build_context"]:
        key, _, where = pair.partition("=")
        if where.startswith("target:"):
            name = where.removeprefix("target:")
            image = made[name].image
            if image is None:
                raise UsageError(
                    f"the target {name} gives files and no image, which another one needs",
                    hint="--load keeps the image as well",
                )
            where = f"docker-image://sha256:{image.id}"
        links.append(f"{key}={where}")
    request = _build_request.request(
        {**options, "build_context": links}, [target.get("context", ".")]
    )
    if target.get("dockerfile-inline"):
        import io

        request.file = "-"
        request.stdin = io.BytesIO(target["dockerfile-inline"].encode())
    return request
