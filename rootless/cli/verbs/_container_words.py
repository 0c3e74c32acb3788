"""What `run` and `create` have in common: options that are not the container's own."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.spec.options import ContainerOptions

_REGISTRY = ("authfile", "cert_dir", "creds", "tls_verify", "retry", "retry_delay")
_OTHERS = ("os", "arch", "variant", "disable_content_trust", "seccomp_policy")


def take(given: dict[str, Json]) -> dict[str, Json]:
    """Take the options about the image out of the table of all; those that were given."""
    taken = {name: given.pop(name) for name in (*_REGISTRY, *_OTHERS)}
    return {name: value for name, value in taken.items() if value not in (None, False)}


def obey(options: ContainerOptions, taken: dict[str, Json]) -> None:
    """Say them to the options of the container.  Raises UsageError."""
    if not taken:
        return
    from rootless.cli.verbs import _registry_options as registry
    from rootless.errors import UsageError

    if taken.get("seccomp_policy", "default") != "default":
        raise UsageError(
            f"--seccomp-policy {taken['seccomp_policy']} is not offered",
            hint="--security-opt seccomp=FILE gives the container another filter",
        )
    options.platform = options.platform or registry.platform(taken)
    options.registry = (registry.verify(taken), registry.settings(taken))
