"""The seccomp program of a container: docker's default, a file's, or none."""

from __future__ import annotations

from rootless.runtime import capabilities, seccomp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json


def keyring(choice: str, privileged: bool) -> str:
    """For `compile.plan`: the default profile lets nobody read keys."""
    return "wished" if choice in ("", "default", "builtin") and not privileged else "needed"


def program(choice: str, bounding: list[str], single: bool, privileged: bool) -> bytes:
    """BPF instructions, empty for no filter.

    `choice`: the word after `seccomp=`; `bounding`: names of capabilities; `single`: changes of
    owner are answered by the filter.
    """
    unconfined = choice == "unconfined" or (privileged and not choice)
    if unconfined and not single:
        return b""
    if choice in ("", "default", "builtin", "unconfined") and not unconfined:
        return seccomp.default_filter(capabilities.mask(bounding), single)
    from rootless.runtime import profile

    oci = {"defaultAction": "SCMP_ACT_ALLOW"} if unconfined else profile.load(choice, bounding)
    return seccomp.program(bounding, single=single, oci=oci)


def document(choice: str, bounding: list[str], privileged: bool) -> Json:
    """The same as `linux.seccomp` for another OCI runtime, empty for no filter.

    Changes of owner are not answered there.
    """
    if choice == "unconfined" or (privileged and not choice):
        return {}
    from rootless.runtime import profile

    if choice in ("", "default", "builtin"):
        return profile.oci_seccomp(bounding)
    return profile.load(choice, bounding)
