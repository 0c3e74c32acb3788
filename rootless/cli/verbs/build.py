"""`rootless build`."""

from __future__ import annotations

from rootless.cli.options import Option, Verb, flag, number, several, text
from rootless.cli.verbs._registry_options import AUTHFILE, CERT_DIR, CREDS, RETRY, TLS
from rootless.cli.verbs._shared_options import IIDFILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call
    from rootless.documents import Json
    from rootless.engine.build.delivery import Built
    from rootless.engine.build.request import Request
    from rootless.engine.engine import Engine

# what docker and podman have, and why it is not here: refused by name, never passed over
_REFUSED = {
    "--all-platforms": "one platform is built at a time",
    "--annotation": "annotations of manifests are not written yet",
    "--attest": "attestations are not made yet",
    "--cgroup-parent": "steps run in the caller's own cgroup",
    "--cpp-flag": "Dockerfiles are not run through a preprocessor",
    "--cpu-period": "steps run in the caller's own cgroup",
    "--cpu-quota": "steps run in the caller's own cgroup",
    "--cpu-shares": "steps run in the caller's own cgroup",
    "--cpuset-cpus": "steps run in the caller's own cgroup",
    "--cpuset-mems": "steps run in the caller's own cgroup",
    "--device": "steps have the devices of a container that asked for none",
    "--group-add": "USER user:group in the Dockerfile says who a step is",
    "--manifest": "`rootless manifest add` puts an image into a list",
    "--memory": "steps run in the caller's own cgroup",
    "--memory-swap": "steps run in the caller's own cgroup",
    "--provenance": "attestations are not made yet",
    "--sbom": "attestations are not made yet",
    "--squash": "--squash-all makes one layer of everything",
    "--userns": "steps have the ids of the layers",
    "--volume": "RUN --mount=type=bind or --build-context shows files to a step",
}
_FLAGS = ("--all-platforms", "--squash")
_SHORT = {"--memory": "-m --memory", "--volume": "-v --volume", "--cpu-shares": "-c --cpu-shares"}


def _hidden() -> list[Option]:
    made = [
        several(_SHORT.get(name, name), "VALUE", "As docker and podman have it", fails=why)
        if name not in _FLAGS
        else flag(name, "As docker and podman have it", fails=why)
        for name, why in _REFUSED.items()
    ]
    # what is so anyway, and scripts say
    names = ("--rm", "--force-rm", "--compress", "--load", "--layers")
    made += [flag(name, "Accepted for compatibility, ignored", hidden=True) for name in names]
    made.append(text("--isolation", "TYPE", "Accepted for compatibility, ignored", hidden=True))
    return made


VERB = Verb(
    "build",
    "[CONTEXT]",
    "Build an image from a Dockerfile",
    sections=(
        (
            "Options",
            (
                several("-t --tag", "NAME", "Name of the image; may be repeated"),
                text("-f --file", "FILE", "Dockerfile (default: Containerfile or Dockerfile in the "
                     "context); - reads it from standard input", complete="file"),
                several("--build-arg", "NAME[=VALUE]", "Set a build argument"),
                several("--build-arg-file", "FILE", "Read build arguments from a file",
                        complete="file"),
                several("--build-context", "NAME=WHERE", "Add a named context: a directory, "
                        "archive, address, repository or docker-image://IMAGE"),
                text("--target", "STAGE", "Build this stage"),
                text("--platform", "OS/ARCH[/VARIANT]", "Platform to build for"),
                text("--os", "OS", "Operating system to build for"),
                text("--arch", "ARCH", "Architecture to build for"),
                text("--ignorefile", "FILE", "File of patterns to leave out of the context",
                     complete="file"),
                several("--label", "NAME=VALUE", "Set a label of the image"),
                several("--env", "NAME=VALUE", "Set a variable of the image's environment"),
                several("--unsetenv", "NAME", "Remove a variable of the image's environment"),
                several("--unsetlabel", "NAME", "Remove a label of the image"),
            ),
        ),
        (
            "Cache and base images",
            (
                flag("--no-cache", "Do not use the cache"),
                several("--no-cache-filter", "STAGE", "Do not use the cache for this stage"),
                text("--pull", "POLICY", "Pull base images: always, missing, newer or never "
                     "(default missing; always without =POLICY)",
                     complete="always missing newer never", bare="always"),
                several("--cache-from", "NAME|type=TYPE,…", "Take steps from a cache: "
                        "type=registry,ref=NAME or type=local,src=DIR"),
                several("--cache-to", "NAME|type=TYPE,…", "Write the steps of this build to a "
                        "cache: type=registry,ref=NAME, type=local,dest=DIR (mode=max: of all "
                        "stages), or type=inline"),
                text("--cache-ttl", "DURATION", "Take no step that was done longer ago than this"),
                AUTHFILE, CERT_DIR, CREDS, TLS, *RETRY,
            ),
        ),
        (
            "Steps",
            (
                several("--secret", "id=NAME[,src=FILE|env=VARIABLE]",
                        "Offer a secret to RUN --mount=type=secret"),
                several("--ssh", "default|ID[=SOCKET]", "Offer an ssh agent to RUN "
                        "--mount=type=ssh"),
                several("--allow", "ENTITLEMENT",
                        "Allow network.host or security.insecure to steps that want it"),
                text("--network", "MODE", "Network of RUN: default, none or host"),
                several("--add-host", "NAME:ADDRESS", "Add a line to /etc/hosts of steps"),
                several("--dns", "ADDRESS", "Name server for steps"),
                several("--dns-search", "DOMAIN", "DNS search domain for steps"),
                several("--dns-option", "OPTION", "DNS option for steps"),
                several("--cap-add", "CAPABILITY", "Add a capability to steps"),
                several("--cap-drop", "CAPABILITY", "Drop a capability of steps"),
                several("--security-opt", "OPTION", "Set a security option of steps"),
                several("--ulimit", "NAME=SOFT[:HARD]", "Set a limit of steps"),
                text("--shm-size", "SIZE", "Size of /dev/shm of steps"),
                number("-j --jobs", "COUNT", "How many steps run side by side (default 4)"),
            ),
        ),
        (
            "Result",
            (
                several("-o --output", "DIR|type=TYPE,dest=PATH", "Where the result goes: local, "
                        "tar, oci, docker or image"),
                flag("--push", "Push the image"),
                text("--format", "FORMAT", "Format of the image: oci or docker (default oci)",
                     complete="oci docker"),
                IIDFILE,
                text("--metadata-file", "FILE", "Write the build's metadata to a file",
                     complete="file"),
                flag("--squash-all", "Squash all layers into one"),
                number("--timestamp", "SECONDS",
                       "Set the time of the image and of all its files"),
                number("--source-date-epoch", "SECONDS", "Set the time of the image (default: "
                       "$SOURCE_DATE_EPOCH)"),
                flag("--rewrite-timestamp", "Let no file be later than --source-date-epoch"),
            ),
        ),
        (
            "Output",
            (
                flag("-q --quiet", "Print only the image ID"),
                text("--progress", "MODE", "Progress output: auto, plain, tty, rawjson or quiet",
                     complete="auto plain tty rawjson quiet"),
                text("--logfile", "FILE", "Write the progress output to a file", complete="file"),
                flag("--check", "Check the Dockerfile without building"),
                text("--call", "METHOD[,format=json]", "What to do: build, check, outline or "
                     "targets", complete="build check outline targets"),
                text("--print", "WHAT", "Print the graph of the build without building",
                     complete="graph outline targets"),
                *_hidden(),
            ),
        ),
    ),
    maximum=1,
    complete=("directory",),
    text="CONTEXT is a directory (default .), a tar archive, an address, a git repository, or - "
    "for standard input. Each RUN runs in a container of its own, without root. Progress goes to "
    "standard error. A step that fails ends with status 1, a mistake in the Dockerfile or an "
    "option with 125.",
    examples="rootless build -t mine .\n"
    "rootless build -t mine -f other.Dockerfile --build-arg VERSION=2 .\n"
    "rootless build --secret id=token,src=token.txt -t mine .\n"
    "rootless build -o out --target files .",
)  # fmt: skip


def run(call: Call) -> int:
    """Build; print what was asked for."""
    from rootless.build.dockerfile.source import DockerfileError

    given = call.options
    _refuse(given)
    engine = call.engine()
    engine.progress.quiet = bool(given["quiet"])
    try:
        request = _request(call)
        call_for = given["print"] or given["call"] or "build"
        if given["check"] or call_for != "build":
            return _describe(engine, request, "check" if given["check"] else call_for)
        return _build(engine, request, given)
    except DockerfileError as error:
        # the sentence, and below it the line with a mark
        excerpt = f"\n{error.excerpt}" if error.excerpt else ""
        error.message = f"{error.message}{excerpt}"
        raise


def _refuse(given: dict[str, Json]) -> None:
    from rootless.errors import UsageError

    for name, why in _REFUSED.items():
        if given[name.lstrip("-").replace("-", "_")]:
            raise UsageError(f"{name} is not offered by build", hint=why)


def _request(call: Call) -> Request:
    import sys

    from rootless.build.options import BuildOptions
    from rootless.cli import build_options as values
    from rootless.cli.verbs import _registry_options as registry
    from rootless.engine.build.images import source_date
    from rootless.engine.build.request import Output, RegistryAccess, Request
    from rootless.engine.spec.options import ContainerOptions
    from rootless.errors import UsageError

    given = call.options
    arguments: dict[str, str] = {}
    for path in given["build_arg_file"]:
        arguments.update(values.arguments_of_file(path))
    arguments.update(values.pairs("--build-arg", given["build_arg"], environment=True))
    policy = given["pull"] or "missing"
    if policy in ("true", "false", "1", "0"):
        # docker's flag
        policy = "always" if policy in ("true", "1") else "missing"
    if policy not in ("always", "missing", "newer", "never", "ifnewer", "ifmissing"):
        raise UsageError(f'unknown --pull "{policy}"', hint="always, missing, newer or never")
    policy = policy.removeprefix("if")
    allow = {one.strip() for word in given["allow"] for one in word.split(",")}
    unknown = allow - {"network.host", "security.insecure", "device"}
    if unknown:
        raise UsageError(
            f"--allow does not know {sorted(unknown)[0]}", hint="network.host, security.insecure"
        )
    network = given["network"] or "default"
    network = {"private": "default", "bridge": "default"}.get(network, network)
    if network not in ("default", "none", "host"):
        raise UsageError(f'--network "{network}" is not offered by build',
                         hint="default, none or host")  # fmt: skip
    if network == "host":
        allow.add("network.host")
    platform = given["platform"] or ""
    if "," in platform:
        raise UsageError(
            f"--platform {platform}: one platform is built at a time",
            hint="build each, and `rootless manifest add` puts them into a list",
        )
    if given["os"] or given["arch"]:
        platform = f"{given['os'] or 'linux'}/{given['arch'] or values_here()}"
    epoch = given["source_date_epoch"]
    if epoch is None and "SOURCE_DATE_EPOCH" in arguments:
        text_epoch = arguments["SOURCE_DATE_EPOCH"]
        if text_epoch and not (text_epoch.isascii() and text_epoch.isdigit()):
            raise UsageError(f'SOURCE_DATE_EPOCH is "{text_epoch}"', hint="seconds since 1970")
        epoch = int(text_epoch) if text_epoch else None
    if epoch is None:
        epoch = source_date()
    options = BuildOptions(
        build_args=arguments,
        target=given["target"] or "",
        platform=platform,
        labels=values.pairs("--label", given["label"]),
        no_cache=bool(given["no_cache"]),
        no_cache_filter=frozenset(
            one.lower() for word in given["no_cache_filter"] for one in word.split(",")
        ),
        pull=policy,
        network=network,
        add_hosts=tuple(given["add_host"]),
        secrets=values.secrets(given["secret"]),
        ssh=values.agents(given["ssh"]),
        allow=frozenset(allow),
        epoch=epoch,
        timestamp=given["timestamp"],
        jobs=4 if given["jobs"] is None else max(1, given["jobs"]),
        env=tuple(values.pairs("--env", given["env"], environment=True).items()),
        unset_env=tuple(given["unsetenv"]),
        unset_labels=tuple(given["unsetlabel"]),
    )
    contexts = values.pairs("--build-context", given["build_context"])
    form = given["format"] or "oci"
    if form not in ("oci", "docker"):
        raise UsageError(f'unknown image format "{form}"', hint="oci or docker")
    outputs = values.outputs(given["output"])
    if given["load"] or not outputs:
        outputs.append(Output("image"))
    if given["push"]:
        # as docker: what is pushed is an image, and one that is made anyway is made once
        outputs = [one for one in outputs if one.kind != "image" or one.values]
        outputs.append(Output("image", "", {"push": "true"}))
    step = ContainerOptions(
        "", add_host=given["add_host"], dns=given["dns"], dns_search=given["dns_search"],
        dns_option=given["dns_option"], cap_add=given["cap_add"], cap_drop=given["cap_drop"],
        security_opt=given["security_opt"], ulimit=given["ulimit"], shm_size=given["shm_size"],
    )  # fmt: skip
    return Request(
        context=call.words[0] if call.words else ".",
        file=given["file"],
        tags=tuple(given["tag"]),
        options=options,
        contexts=contexts,
        stdin=sys.stdin.buffer,
        stdout=sys.stdout.buffer,
        ignore_file=given["ignorefile"],
        outputs=outputs,
        form=form,
        rewrite=bool(given["rewrite_timestamp"]),
        squash="all" if given["squash_all"] else "",
        step=step,
        cache_from=values.caches("--cache-from", given["cache_from"]),
        cache_to=values.caches("--cache-to", given["cache_to"]),
        cache_ttl=values.seconds("--cache-ttl", given["cache_ttl"]),
        registry=RegistryAccess(registry.verify(given), registry.settings(given)),
    )


def values_here() -> str:
    """The architecture of this host."""
    from rootless.engine.build import build

    return build.here().architecture


def _build(engine: Engine, request: Request, given: dict[str, Json]) -> int:
    from rootless.cli import build_progress, output
    from rootless.engine.build import build
    from rootless.errors import UsageError

    mode = "quiet" if given["quiet"] else given["progress"] or "auto"
    if mode not in build_progress.MODES:
        raise UsageError(f'unknown --progress "{mode}"', hint=", ".join(build_progress.MODES))
    display = build_progress.choose(mode)
    try:
        made = build.build(engine, request, display.take)
    finally:
        display.close()
    image = made.image
    if given["metadata_file"]:
        _metadata(given["metadata_file"], made)
    if image is None:
        return 0
    identity = f"sha256:{image.id}"
    if given["iidfile"]:
        _write(given["iidfile"], identity)
    if given["quiet"]:
        output.line(identity)
    return 0


def _metadata(path: str, made: Built) -> None:
    """--metadata-file: what buildx writes there, of the image that was made."""
    from rootless import documents

    image = made.image
    value: dict[str, Json] = {}
    if image is not None:
        value = {
            "containerimage.config.digest": image.config_digest,
            "containerimage.digest": made.digest,
        }
        if image.names:
            value["image.name"] = ",".join(image.names)
    _write(path, documents.dumps(value, indent=True) + "\n")


def _write(path: str, content: str) -> None:
    from rootless import documents
    from rootless.errors import StorageError

    try:
        documents.write_bytes(path, content.encode())
    except OSError as error:
        raise StorageError(f"cannot write {path}: {(error.strerror or '').lower()}") from None


def _describe(engine: Engine, request: Request, what: str) -> int:
    """--check, --call and --print."""
    from rootless.cli import output
    from rootless.engine.build import build
    from rootless.errors import UsageError

    name, _, rest = what.partition(",")
    form = rest.removeprefix("format=") or "text"
    if name not in ("graph", "check", "outline", "targets") or form not in ("text", "json"):
        raise UsageError(
            f'build has nothing to say of "{what}"',
            hint="check, outline or targets, with ,format=json; graph",
        )
    told, status = build.describe(engine, request, name, form)
    output.write(told)
    return status
