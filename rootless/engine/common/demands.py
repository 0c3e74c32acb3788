"""What a caller demands of the signatures of images, beside what the policy says."""

from __future__ import annotations

from rootless.engine.common import arguments


class Demands:
    """`policy`: another policy.json; `required`: a signature by a key of the policy; `keys`: files
    of public keys one of which must have signed."""

    __slots__ = ("keys", "policy", "required")

    def __init__(
        self, policy: str = "", required: bool = False, keys: list[str] | str | None = None
    ) -> None:
        self.policy = policy
        self.required = required
        self.keys = arguments.words("the keys", keys)

    def __bool__(self) -> bool:
        """Whether anything is demanded."""
        return bool(self.policy or self.required or self.keys)
