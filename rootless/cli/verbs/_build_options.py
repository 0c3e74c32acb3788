"""The options of `build`: what there is, what has one value only, and what is refused, and why."""

from __future__ import annotations

from rootless.cli.options import Option, flag, number, several, text
from rootless.cli.verbs._registry_options import AUTHFILE, CERT_DIR, CREDS, POLICY, RETRY, TLS
from rootless.cli.verbs._shared_options import IIDFILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

# what docker and podman have, and why it is not here: refused by name, never passed over
REFUSED = {
    "--all-platforms": "name the platforms: each is built by itself",
    "--cpp-flag": "Dockerfiles are not run through a preprocessor",
    "--cw": "images for confidential machines are not made",
    "--decryption-key": "encrypted images cannot be read",
    "--hooks-dir": "steps have no hooks",
    "--layer-label": "layers have no labels",
    "--logsplit": "a build has one log",
    "--no-hosts": "steps have an /etc/hosts of their own, which is in no layer",
    "--policy": "rules for sources are not read; `rootless image trust` has those for images",
    "--runtime-flag": "steps are not run by another runtime",
    "--rusage": "`time rootless build` says what a build costs",
    "--rusage-logfile": "`time rootless build` says what a build costs",
    "--save-stages": "build a stage with --target",
    "--sbom-image-output": "there is no scanner here; --attest has provenance",
    "--sbom-image-purl-output": "there is no scanner here; --attest has provenance",
    "--sbom-merge-strategy": "there is no scanner here; --attest has provenance",
    "--sbom-output": "there is no scanner here; --attest has provenance",
    "--sbom-purl-output": "there is no scanner here; --attest has provenance",
    "--sbom-scanner-command": "there is no scanner here; --attest has provenance",
    "--sbom-scanner-image": "there is no scanner here; --attest has provenance",
    "--sign-by": "`rootless image sign` signs what was built",
    "--source-policy-file": "rules for sources are not read",
    "--stage-labels": "stages have no labels",
    "--stdin": "steps have nothing to read: a build is to come out the same without a person",
    "--userns-gid-map": "steps have the ids of the layers",
    "--userns-gid-map-group": "steps have the ids of the layers",
    "--userns-uid-map": "steps have the ids of the layers",
    "--userns-uid-map-user": "steps have the ids of the layers",
}
_FLAGS = ("--all-platforms", "--logsplit", "--no-hosts", "--rusage", "--save-stages", "--stdin",
          "--stage-labels")  # fmt: skip
# what is so anyway, and scripts say: the value that it has here, and why there is no other
ONLY = {
    "--cgroupns": ("private", "steps have namespaces of their own"),
    "--compat-volumes": ("true", "what RUN writes into a VOLUME stays, as with docker"),
    "--inherit-annotations": ("false", "manifests of base images are not looked at"),
    "--ipc": ("private", "steps have namespaces of their own"),
    "--pid": ("private", "steps have namespaces of their own"),
    "--skip-unused-stages": ("true", "what the result does not need is not built"),
    "--userns": ("private", "steps have the ids of the layers"),
    "--uts": ("private", "steps have namespaces of their own"),
}
_WORDS = {"private": ("private", "container", "auto"), "true": ("true", "1", "t"),
          "false": ("false", "0", "f")}  # fmt: skip
_SWITCHES = ("--compat-volumes", "--inherit-annotations", "--skip-unused-stages")
# how much of a container's walls a step has is not to be chosen; `chroot` works around what is no
# obstacle here
_ISOLATION = ("", "default", "oci", "rootless", "chroot", "process")
# what changes nothing here, whatever is said
NOTHING = ("--builder", "--compress", "--disable-compression", "--disable-content-trust",
           "--force-rm", "--no-hostname", "--rm")  # fmt: skip


def _hidden() -> list[Option]:
    made = [
        flag(name, "As docker and podman have it", fails=why)
        if name in _FLAGS
        else several(name, "VALUE", "As docker and podman have it", fails=why)
        for name, why in REFUSED.items()
    ]
    for name, (value, _) in ONLY.items():
        if name in _SWITCHES:
            made.append(text(name, "BOOL", f"Always {value} here", hidden=True, bare="true"))
        else:
            made.append(text(name, "MODE", f"Always {value} here", hidden=True))
    for name in NOTHING:
        if name == "--builder":
            made.append(text(name, "NAME", "Accepted for compatibility, ignored", hidden=True))
        else:
            spelling = f"-D {name}" if name == "--disable-compression" else name
            made.append(flag(spelling, "Accepted for compatibility, ignored", hidden=True))
    made.append(text("--isolation", "TYPE", "Steps run in containers of their own", hidden=True))
    made.append(flag("--load", "Keep the image beside what --output asks for"))
    made.append(text("--layers", "BOOL", "With false: as --squash", hidden=True, bare="true"))
    return made


def refuse(given: dict[str, Json]) -> None:
    """Refuse what is not offered, by its name.  Raises UsageError."""
    from rootless.errors import UsageError

    for name, why in REFUSED.items():
        if given[name.lstrip("-").replace("-", "_")]:
            raise UsageError(f"{name} is not offered by build", hint=why)
    for name, (value, why) in ONLY.items():
        word = given[name.lstrip("-").replace("-", "_")]
        if word and word.lower() not in _WORDS[value]:
            raise UsageError(f'{name} "{word}" is not offered by build: it is {value}', hint=why)
    if (given["isolation"] or "") not in _ISOLATION:
        raise UsageError(f'--isolation "{given["isolation"]}" is not offered by build',
                         hint="steps run in containers of their own, as with oci")  # fmt: skip


SECTIONS = (
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
                several("--platform", "OS/ARCH[/VARIANT]", "Platform to build for; of several, an "
                        "index is made"),
                text("--os", "OS", "Operating system to build for"),
                text("--arch", "ARCH", "Architecture to build for"),
                text("--variant", "NAME", "Variant of the architecture, as in v8"),
                text("--os-version", "VERSION", "Version of the operating system of the image"),
                several("--os-feature", "NAME", "Feature that the image needs of the system"),
                text("--from", "IMAGE", "Use this image in place of that of the first FROM"),
                text("--ignorefile", "FILE", "File of patterns to leave out of the context",
                     complete="file"),
                several("--label", "NAME=VALUE", "Set a label of the image"),
                several("--env", "NAME=VALUE", "Set a variable of the image's environment"),
                several("--unsetenv", "NAME", "Remove a variable of the image's environment"),
                several("--unsetlabel", "NAME", "Remove a label of the image"),
                text("--inherit-labels", "BOOL", "Keep the labels of base images (default true)",
                     complete="true false"),
                text("--identity-label", "BOOL", "Label the image with the version of this program "
                     "(default false)", complete="true false"),
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
                several("--cache-from", "NAME|type=TYPE,...", "Take steps from a cache: "
                        "type=registry,ref=NAME or type=local,src=DIR"),
                several("--cache-to", "NAME|type=TYPE,...", "Write the steps of this build to a "
                        "cache: type=registry,ref=NAME, type=local,dest=DIR (mode=max: of all "
                        "stages), or type=inline"),
                text("--cache-ttl", "DURATION", "Take no step that was done longer ago than this"),
                AUTHFILE, CERT_DIR, CREDS, TLS, *RETRY, POLICY,
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
                several("--group-add", "GROUP", "Add a supplementary group to steps"),
                several("--device", "HOST[:STEP]", "Give steps a device of the host"),
                several("-v --volume", "HOST:STEP[:ro]", "Show steps a directory of the host"),
                text("-m --memory", "SIZE", "Memory limit of each step"),
                text("--memory-swap", "SIZE", "Limit of memory and swap together of each step"),
                text("--cpus", "NUMBER", "Number of CPUs of each step"),
                number("-c --cpu-shares", "NUMBER", "CPU shares of each step"),
                number("--cpu-period", "MICROSECONDS", "CPU period of each step"),
                number("--cpu-quota", "MICROSECONDS", "CPU quota of each step"),
                text("--cpuset-cpus", "CPUS", "CPUs of each step, as in 0-3"),
                text("--cpuset-mems", "NODES", "Memory nodes of each step"),
                text("--cgroup-parent", "PARENT", "Parent of the cgroups of steps"),
                flag("--http-proxy", "Pass the proxy variables of the environment to steps"),
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
                text("--manifest", "LIST", "Add the image to a manifest list, made if need be"),
                text("--provenance", "BOOL|mode=MODE", "Attest what the image was made of: true, "
                     "false, mode=min or mode=max", bare="true"),
                several("--attest", "type=provenance[,mode=MODE]", "The same"),
                text("--sbom", "BOOL", "Only false: there is no scanner", hidden=True, bare="true"),
                several("--annotation", "[TYPE:]KEY=VALUE", "Set an annotation of the manifest"),
                several("--unsetannotation", "KEY", "Remove an annotation"),
                flag("--created-annotation", "Annotate the manifest with the time of the image"),
                flag("--squash", "Squash the new layers into one"),
                flag("--squash-all", "Squash all layers into one"),
                flag("--omit-history", "Leave the history out of the image"),
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
                flag("--in-ci", "Say what a CI job lacks, and which of its walls the build goes "
                     "around"),
                text("--on-failure", "WHAT", "With shell: open a shell on the files as they were "
                     "before the step that failed", complete="shell"),
                flag("--watch", "Build again whenever the context changes, until interrupted"),
                flag("--check", "Check the Dockerfile without building"),
                text("--call", "METHOD[,format=json]", "What to do: build, check, outline or "
                     "targets", complete="build check outline targets"),
                text("--print", "WHAT", "Print the graph of the build without building",
                     complete="graph outline targets"),
                *_hidden(),
            ),
        ),
    )  # fmt: skip
