"""Which images the person trusts: policy.json, config.toml and words of the command line."""

from __future__ import annotations

from rootless.engine.common import arguments
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.engine import Engine
    from rootless.images.names.reference import Reference
    from rootless.images.registry.client import Registry
    from rootless.images.trust.verify import Trust

_KEYS = ("require_signatures", "signature_policy")


class Demands:
    """What the caller asks for besides: `policy`, another policy.json; `required`, a signature by
    a key of the policy; `keys`, files of public keys one of which must have signed."""

    __slots__ = ("keys", "policy", "required")

    def __init__(
        self, policy: str = "", required: bool = False, keys: list[str] | str | None = None
    ) -> None:
        self.policy = policy
        self.required = required
        self.keys = arguments.words("the keys", keys)

    def __bool__(self) -> bool:
        """Whether anything is asked for."""
        return bool(self.policy or self.required or self.keys)


def settings() -> dict[str, Json]:
    """The table [trust] of config.toml: `require-signatures`, `signature-policy`.  UsageError."""
    from rootless.engine.common import config as files

    found = files.read().get("trust", {})
    for key, value in found.items():
        if key not in _KEYS:
            raise UsageError(
                f'{files.path()}: unknown key "{key}" in [trust]',
                hint="require-signatures, signature-policy",
            )
        kind = bool if key == "require_signatures" else str
        if not isinstance(value, kind):
            raise UsageError(f"{files.path()}: {key.replace('_', '-')} has the value {value!r}")
    return found


def rules(engine: Engine) -> Trust:
    """The rules for this engine's images.  Raises UsageError, HostError."""
    from rootless.images.trust.verify import Trust

    told = settings()
    demands = engine.demands or Demands()
    required = bool(told.get("require_signatures")) or demands.required
    return Trust(
        policy_path=demands.policy or str(told.get("signature_policy", "")),
        # a key named for this image is a signature asked for
        required=required and not demands.keys,
        keys=demands.keys,
    )


def of_file(engine: Engine, transport: str, path: str) -> None:
    """Whether the person lets a file be used that is an image, or becomes one.

    Raises RegistryError, UsageError, HostError.  Loads nothing where everything is accepted.
    """
    from rootless.images.registry import head_check

    if engine.demands or settings() or not head_check.trusted_as_all():
        rules(engine).local(transport, path)


def connected(name: str, verify: bool | None, *, write: bool) -> tuple[Registry, Reference]:
    """The registry that has an image, and the image's whole name; the caller closes it."""
    from rootless.images.names import reference, registries
    from rootless.images.registry.client import Registry

    wanted = reference.parse(name.removeprefix("docker://"))
    endpoint = registries.endpoints(wanted, tls_verify=verify)[-1]
    access = "pull,push" if write else "pull"
    return Registry(wanted, endpoint, access=access), wanted
