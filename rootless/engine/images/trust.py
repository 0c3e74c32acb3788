"""Which images are trusted: policy.json, config.toml and options of the command line."""

from __future__ import annotations

from rootless.engine.common import config
from rootless.engine.common.demands import Demands
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.context import Context
    from rootless.images.trust.verify import Trust

_KEYS = ("require_signatures", "signature_policy")


def settings() -> dict[str, Json]:
    """The table [trust] of config.toml: `require-signatures`, `signature-policy`.  UsageError."""
    found = config.read().get("trust", {})
    for key, value in found.items():
        if key not in _KEYS:
            raise UsageError(
                f'{config.path()}: unknown key "{key}" in [trust]',
                hint="require-signatures, signature-policy",
            )
        kind = bool if key == "require_signatures" else str
        if not isinstance(value, kind):
            raise UsageError(f"{config.path()}: {key.replace('_', '-')} has the value {value!r}")
    return found


def rules(ctx: Context) -> Trust:
    """The rules for this engine's images.  Raises UsageError, HostError."""
    from rootless.images.trust.verify import Trust

    configured = settings()
    demands = ctx.demands or Demands()
    required = bool(configured.get("require_signatures")) or demands.required
    return Trust(
        policy_path=demands.policy or str(configured.get("signature_policy", "")),
        # a key named for this image is a signature asked for
        required=required and not demands.keys,
        keys=demands.keys,
    )


def of_file(ctx: Context, transport: str, path: str) -> None:
    """Refuse a file that is an image, or becomes one, where the policy does not accept it.

    Raises RegistryError, UsageError, HostError.  Loads nothing where everything is accepted.
    """
    from rootless.images.registry import head_check

    if ctx.demands or settings() or not head_check.trusted_as_all():
        rules(ctx).local(transport, path)


def policy_document(path: str) -> Json:
    """Return the signature policy as it is written; `path` is another than the user's."""
    from rootless.images.trust import policy

    return policy.read(path).document


def policy_rows(path: str) -> list[dict[str, Json]]:
    """Return the scopes of the policy and what is required of each."""
    from rootless.images.trust import policy_file

    return policy_file.show(path)


def change_policy(scope: str, kind: str, key_files: list[str], path: str) -> None:
    """Write another requirement for a scope into the policy.  Raises UsageError."""
    from rootless.images.trust import policy_file

    policy_file.change(scope, kind, key_files, path)
