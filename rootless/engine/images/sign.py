"""`image sign` and `image verify`: signatures of images in registries."""

from __future__ import annotations

from rootless.images.trust import policy
from rootless.images.trust import verify as trust_verify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.images.names.reference import Reference
    from rootless.images.registry.client import Registry


def sign(
    name: str, key_file: str, passphrase: bytes, passphrase_file: str, tls_verify: bool | None
) -> str:
    """Sign with a key, as cosign does; return the image's name by digest."""
    key = policy.read_key(key_file)
    if passphrase_file:
        passphrase = policy.read_key(passphrase_file).rstrip(b"\n")
    server, wanted = connected(name, tls_verify, write=True)
    try:
        digest = trust_verify.sign(server, wanted, key, passphrase)
    finally:
        server.close()
    return f"{wanted.name}@{digest}"


def sign_simple(name: str, signer: str, directory: str, tls_verify: bool | None) -> str:
    """Sign with a key of GnuPG; return what trust.verify.sign_simple returns."""
    server, wanted = connected(name, tls_verify, write=False)
    try:
        return trust_verify.sign_simple(server, wanted, signer, directory)
    finally:
        server.close()


def verify(name: str, keys: list[str], policy_path: str, tls_verify: bool | None) -> str:
    """Verify by one of the keys, else by the policy; return the image's name by digest."""
    server, wanted = connected(name, tls_verify, write=False)
    try:
        if keys:
            digest = trust_verify.verified(server, wanted, keys)
        else:
            _, _, digest = server.manifest(wanted.digest or wanted.tag)
            rules = trust_verify.Trust(policy_path=policy_path, required=True)
            rules.registry(server, wanted, [digest])
        return f"{wanted.name}@{digest}"
    finally:
        server.close()


def connected(name: str, verify: bool | None, *, write: bool) -> tuple[Registry, Reference]:
    """The registry that has an image, and the image's whole name; the caller closes it."""
    from rootless.images.names import reference, registries
    from rootless.images.registry.client import Registry

    wanted = reference.parse(name.removeprefix("docker://"))
    endpoint = registries.endpoints(wanted, tls_verify=verify)[-1]
    access = "pull,push" if write else "pull"
    return Registry(wanted, endpoint, access=access), wanted
