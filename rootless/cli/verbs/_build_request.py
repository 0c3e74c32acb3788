"""From the options of `build` to what the engine is asked for.  Text in, values out."""

from __future__ import annotations

import sys

from rootless.build.options import BuildOptions
from rootless.cli import build_options as values
from rootless.cli import called
from rootless.cli.options import truth
from rootless.cli.verbs import _registry_options as registry
from rootless.engine.build.images import source_date
from rootless.engine.build.request import Output, RegistryAccess, Request
from rootless.engine.spec.options import ContainerOptions
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

_LIMITS = ("memory", "memory_swap", "cpus", "cpu_shares", "cpu_period", "cpu_quota", "cpuset_cpus",
           "cpuset_mems")  # fmt: skip


def request(given: dict[str, Json], words: list[str]) -> Request:
    """What these options and words ask for.  Raises UsageError."""
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
    wanted = [one.strip() for word in given["platform"] for one in word.split(",") if one.strip()]
    wanted = list(dict.fromkeys(wanted))
    platform = wanted[0] if len(wanted) == 1 else ""
    if wanted and (given["os"] or given["arch"] or given["variant"]):
        raise UsageError("--platform and --os, --arch, --variant exclude each other")
    if given["os"] or given["arch"] or given["variant"]:
        platform = f"{given['os'] or 'linux'}/{given['arch'] or _architecture()}"
        platform += f"/{given['variant']}" if given["variant"] else ""
    epoch = given["source_date_epoch"]
    if epoch is None and "SOURCE_DATE_EPOCH" in arguments:
        text_epoch = arguments["SOURCE_DATE_EPOCH"]
        if text_epoch and not (text_epoch.isascii() and text_epoch.isdigit()):
            raise UsageError(f'SOURCE_DATE_EPOCH is "{text_epoch}"', hint="seconds since 1970")
        epoch = int(text_epoch) if text_epoch else None
    if epoch is None:
        epoch = source_date()
    labels = values.pairs("--label", given["label"])
    if given["identity_label"] and truth("--identity-label", given["identity_label"]):
        from rootless.version import __version__

        labels["io.rootless.version"] = __version__
    if given["http_proxy"]:
        arguments = {**values.proxies(), **arguments}
    inherit = given["inherit_labels"]
    options = BuildOptions(
        build_args=arguments,
        target=given["target"] or "",
        platform=platform,
        labels=labels,
        inherit_labels=not inherit or truth("--inherit-labels", inherit),
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
    squash = given["squash"] or not truth("--layers", given["layers"] or "true")
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
        group_add=given["group_add"], device=given["device"], volume=given["volume"],
        cgroup_parent=given["cgroup_parent"],
        **{name: given[name] for name in _LIMITS},
    )  # fmt: skip
    return Request(
        context=words[0] if words else ".",
        file=given["file"],
        tags=tuple(called.local_name(one) for one in given["tag"]),
        options=options,
        contexts=contexts,
        stdin=sys.stdin.buffer,
        stdout=sys.stdout.buffer,
        ignore_file=given["ignorefile"],
        outputs=outputs,
        form=form,
        rewrite=bool(given["rewrite_timestamp"]),
        squash="all" if given["squash_all"] else "new" if squash else "",
        platforms=tuple(wanted) if len(wanted) > 1 else (),
        manifest=given["manifest"] or "",
        provenance=values.provenance(given["attest"], given["provenance"], given["sbom"]),
        keep_failed=given["on_failure"] == "shell",
        from_image=given["from"] or "",
        annotations=values.annotated(given["annotation"], given["unsetannotation"]),
        created_annotation=bool(given["created_annotation"]),
        no_history=bool(given["omit_history"]),
        os_version=given["os_version"] or "",
        os_features=tuple(given["os_feature"]),
        step=step,
        in_ci=bool(given["in_ci"]),
        cache_from=values.caches("--cache-from", given["cache_from"]),
        cache_to=values.caches("--cache-to", given["cache_to"]),
        cache_ttl=values.seconds("--cache-ttl", given["cache_ttl"]),
        registry=RegistryAccess(registry.verify(given), registry.settings(given)),
    )


def _architecture() -> str:
    """The architecture of this host."""
    from rootless.engine.build import build

    return build.here().architecture
