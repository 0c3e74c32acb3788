"""What `$NAME` means at a point of a stage: ARG and ENV in their order.

The global scope is that of FROM: the platform, and ARG of before the first FROM.  A stage begins
with the environment of its base and, where the base is a stage, with that one's ARGs.  Within a
stage the last of ARG and ENV to set a name wins.

Scope: pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from rootless.build.dockerfile.expansion import ExpansionError, Unset, expand
from rootless.build.dockerfile.kinds import Arg
from rootless.build.dockerfile.platforms import Platform

PROXIES = (
    "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "FTP_PROXY", "ftp_proxy",
    "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy",
)  # fmt: skip
# they are for the builder, and in no command's environment though declared
BUILDER_ARGS = frozenset(
    "BUILDKIT_BUILD_NAME BUILDKIT_CACHE_MOUNT_NS BUILDKIT_CONTEXT_KEEP_GIT_DIR "
    "BUILDKIT_DOCKERFILE_CHECK BUILDKIT_INLINE_CACHE BUILDKIT_MULTI_PLATFORM "
    "BUILDKIT_SANDBOX_HOSTNAME BUILDKIT_SYNTAX SOURCE_DATE_EPOCH".split()
)
_NOT_IN_ENVIRONMENT = frozenset(("BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"))


def platform_args(build: Platform, target: Platform, stage: str) -> dict[str, str]:
    """Return the predefined variables of the global scope."""
    found = {"TARGETSTAGE": stage or "default"}
    for prefix, platform in (("BUILD", build), ("TARGET", target)):
        found |= {
            f"{prefix}PLATFORM": str(platform),
            f"{prefix}OS": platform.os,
            f"{prefix}OSVERSION": "",
            f"{prefix}ARCH": platform.architecture,
            f"{prefix}VARIANT": platform.variant,
        }
    return found


class Variables:
    """The variables of one stage while its instructions are gone through.

    `environment`: what a RUN sees here, ENV and ARG together.  `declared`: the ARGs in the order
    of their declaration, with their values (None: not set), for keys and history.
    """

    def __init__(
        self,
        global_scope: Mapping[str, str],
        passed: Mapping[str, str],
        environment: Mapping[str, str],
        declared: Mapping[str, str | None] | None = None,
    ) -> None:
        self._global = global_scope
        self._passed = passed
        self.environment = dict(environment)
        self.declared: dict[str, str | None] = dict(declared or {})

    def lookup(self, name: str) -> str | None:
        """The value of a variable here, None where it is not set."""
        return self.environment.get(name)

    def is_declared(self, name: str) -> bool:
        """Tell whether the variable may be used here though it has no value."""
        return name in self.environment or name in self.declared

    def set(self, name: str, value: str) -> None:
        """Set a variable, as ENV does."""
        self.environment[name] = value

    def declare(
        self, instruction: Arg, *, unset: Unset | None = None
    ) -> tuple[tuple[str, str | None], ...]:
        """Carry out ARG: names with the values that they have now (None: none).

        What was passed wins over the default, which is expanded with what is known by then; a
        name alone takes the value of the global scope.  Raises DockerfileError.
        """
        found = []
        for name, default in instruction.args:
            value = default
            if name in self._passed:
                value = self._passed[name]
            elif default is None:
                value = self._global.get(name)
            else:
                value = expanded_default(instruction, default, self.environment, unset)
            if value is not None and name not in _NOT_IN_ENVIRONMENT:
                self.environment[name] = value
            if value is not None or name not in self.declared:
                self.declared[name] = value
            found.append((name, value))
        return tuple(found)

    @property
    def proxies(self) -> dict[str, str]:
        """Proxies that were passed and not declared: RUN has them, keys and history do not.

        One that was passed in capital or small letters is there in both.
        """
        found: dict[str, str] = {}
        for name in PROXIES:
            passed = self._passed.get(name, self._passed.get(_other_case(name)))
            if passed is not None and name not in self.declared:
                found[name] = passed
        return found

    def copy(self) -> Variables:
        """Return the same variables, for a stage that begins here."""
        return Variables(self._global, self._passed, self.environment, self.declared)


def _other_case(name: str) -> str:
    return name.lower() if name.isupper() else name.upper()


def expanded_default(
    instruction: Arg, default: str, known: Mapping[str, str], unset: Unset | None = None
) -> str:
    """Expand the default of an ARG.  Raises DockerfileError."""
    try:
        return expand(default, known.get, escape=instruction.line.escape, unset=unset)
    except ExpansionError as error:
        raise instruction.line.error(
            f"ARG: {error.message}", near=default, hint=error.hint
        ) from None
