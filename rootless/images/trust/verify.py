"""Check whether an image may be used, when its manifest is known and before anything else comes.

Scope: the policy's requirements held against signatures; `policy`, `signatures` and `simplesigning`
know the formats.  Source: containers-policy.json(5).

What a hostile registry could try: another image's signature (its digest differs), a signature by
another key, for another name, a payload that was changed, none at all, a thousand of them.  Each is
a refusal with a sentence, and nothing of the image is kept.
"""

from __future__ import annotations

from rootless import documents
from rootless.errors import ImageNotFound, RegistryError
from rootless.images.formats import manifests
from rootless.images.names import reference
from rootless.images.registry.client import Registry
from rootless.images.trust import policy, sigstore, simple_signing
from rootless.images.trust.policy import Requirement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Problem = Callable[[Requirement], str]
    Candidates = Iterator[tuple[tuple[str, str] | None, str]]

_MOST = 64


class Trust:
    """A user's rules.

    `policy_path`: another policy.json than the usual ones.  `required`: an image must be signed,
    whatever the policy accepts.  `keys`: files of public sigstore keys, one of which must have
    signed as well.
    """

    def __init__(
        self, *, policy_path: str = "", required: bool = False, keys: list[str] | None = None
    ) -> None:
        self.policy_path = policy_path
        self.required = required
        self.keys = [policy.read_key(path) for path in keys or ()]

    def registry(self, server: Registry, name: reference.Reference, digests: list[str]) -> None:
        """Check an image of a registry; `digests` are those of its manifest and of the index above
        it, either of which may be signed.  Raises RegistryError, HostError."""
        rules = policy.read(self.policy_path)
        wanted = rules.requirements("docker", policy.docker_scopes(name))
        if self.keys:
            wanted.append(Requirement("sigstoreSigned", self.keys, {"type": "matchRepository"}))
        _Held(name.familiar, rules.path, self.required).all(
            wanted, lambda one: _registry_problem(one, server, name, list(dict.fromkeys(digests)))
        )

    def local(self, transport: str, path: str, tag: str = "") -> None:
        """Check an image of an archive or a layout, which have no place for signatures."""
        rules = policy.read(self.policy_path)
        wanted = rules.requirements(transport, policy.path_scopes(path, tag))
        if self.keys:
            wanted.append(Requirement("sigstoreSigned", self.keys, {}))
        what = f"{transport}:{path}" if path else f"a {transport} on standard input"
        _Held(what, rules.path, self.required).all(
            wanted, lambda one: f"{transport} has no place for signatures"
        )


class _Held:
    """Requirements held against one image."""

    def __init__(self, what: str, path: str, required: bool) -> None:
        self._what = what
        self._path = path
        self._required = required

    def all(self, wanted: list[Requirement], problem: Problem) -> None:
        """Check every rule, by its kind.  Raises RegistryError."""
        for one in wanted:
            if one.kind == "reject":
                raise self._refused("the signature policy rejects it")
            if one.kind in policy.SIGNED:
                said = problem(one)
                if said:
                    raise self._refused(said)
        if self._required and not any(one.kind in policy.SIGNED for one in wanted):
            raise self._refused("no key is known whose signature it should have")

    def _refused(self, why: str) -> RegistryError:
        where = f"the policy {self._path}" if self._path else "no policy.json"
        hint = f"{where} decides; see `rootless image trust show`"
        if not self._path:
            hint = "rootless image trust set --type sigstoreSigned --pubkeysfile KEY NAME"
        return RegistryError(f"the image {self._what} is not trusted: {why}", hint=hint)


def _registry_problem(
    one: Requirement, server: Registry, name: reference.Reference, digests: list[str]
) -> str:
    """Why the requirement does not hold, "" when it does."""
    problems: list[str] = []
    found = 0
    for digest in digests:
        candidates = (
            _attached(one, server, digest)
            if one.kind == "sigstoreSigned"
            else _simple(one, server, name, digest)
        )
        for read, problem in candidates:
            found += 1
            if read is None:
                problems.append(problem)
                continue
            claimed, signed = read
            if signed != digest:
                problems.append(f"a signature is for another image, {signed}")
            elif not policy.fits(one.identity, name, claimed):
                problems.append(f"it is signed as {claimed}, which is another name")
            else:
                return ""
            if found >= _MOST:
                return "none of its first signatures is good"
    if not found:
        return "it has no signature"
    return problems[-1]


def _attached(one: Requirement, server: Registry, digest: str) -> Candidates:
    """Signatures that are in the registry beside the image."""
    try:
        data, _, _ = server.manifest(sigstore.tag_of(digest))
    except ImageNotFound:
        return
    document = manifests.parse(data)
    layers = document.get("layers")
    for layer in layers[:_MOST] if isinstance(layers, list) else []:
        if not isinstance(layer, dict):
            continue
        notes = layer.get("annotations")
        signature = notes.get(sigstore.NOTE) if isinstance(notes, dict) else None
        if layer.get("mediaType") != sigstore.PAYLOAD_TYPE or not isinstance(signature, str):
            continue
        described = manifests.Descriptor.read(layer)
        if described.size > sigstore.LARGEST:
            yield None, f"a signature's payload has {described.size} bytes"
            continue
        payload = b"".join(server.blob(described.digest, described.size))
        if sigstore.digest(payload) != described.digest:
            yield None, "the payload of a signature was changed"
        elif not any(sigstore.verify(key, payload, signature) for key in one.keys):
            yield None, "it is signed by another key, or what was signed was changed"
        else:
            yield sigstore.read_payload(payload, sigstore.KIND), "its payload says nothing"


def _simple(
    one: Requirement, server: Registry, name: reference.Reference, digest: str
) -> Candidates:
    """Signatures by GPG in the lookaside place."""
    for signature in simple_signing.stored(name, digest, server.settings):
        opened = simple_signing.verify(one.keys, signature)
        if opened is None:
            yield None, "it is signed by another key, or the signature was changed"
        else:
            read = sigstore.read_payload(opened.data, simple_signing.KIND)
            yield read, "what was signed is not an image"


# signing


def sign(server: Registry, name: reference.Reference, key: bytes, passphrase: bytes = b"") -> str:
    """Sign what a name stands for with a private key, and keep the signature in the registry.

    Returns the digest that was signed.  `server` must allow writing.
    Raises RegistryError, ImageNotFound, UsageError (the key), HostError.
    """
    from rootless.images.registry import uploads

    _, _, digest = server.manifest(name.digest or name.tag)
    tag = sigstore.tag_of(digest)
    payload = sigstore.payload(f"{name.name}:{name.tag}" if name.tag else name.name, digest)
    signature = sigstore.sign(key, payload, passphrase)
    layers = [(payload, signature)]
    try:
        data, _, _ = server.manifest(tag)
        own = sigstore.public_of(key, passphrase)
        layers = [*_old(server, data, payload, own), *layers]
    except ImageNotFound:
        pass
    manifest, config = sigstore.manifest(layers)
    for blob in (payload, config):
        described = sigstore.digest(blob)
        if not uploads.has_blob(server, described):
            uploads.upload(server, described, len(blob), _reader(blob))
    uploads.put_manifest(server, manifest, manifests.OCI_MANIFEST, tag)
    return digest


def _reader(data: bytes) -> Callable[[int], Iterable[bytes]]:
    return lambda offset: [data[offset:]]


def _old(server: Registry, data: bytes, payload: bytes, own: bytes) -> list[tuple[bytes, str]]:
    """Signatures that are there already, without earlier ones of the same text by the same key."""
    kept = []
    for layer in manifests.parse(data).get("layers") or []:
        signature = (layer.get("annotations") or {}).get(sigstore.NOTE)
        described = manifests.Descriptor.read(layer)
        if not isinstance(signature, str) or described.size > sigstore.LARGEST:
            continue
        text = b"".join(server.blob(described.digest, described.size))
        if text != payload or not sigstore.verify(own, text, signature):
            kept.append((text, signature))
    return kept


def sign_simple(server: Registry, name: reference.Reference, identity: str, place: str = "") -> str:
    """Sign as `sign` does, by a GPG key of the user's, into the lookaside place or the directory
    `place`.

    Returns the file that was written.  Raises also StorageError.
    """
    import os

    from rootless.errors import StorageError

    _, _, digest = server.manifest(name.digest or name.tag)
    text = documents.dumps(
        {
            "critical": {
                "identity": {"docker-reference": name.canonical},
                "image": {"docker-manifest-digest": digest},
                "type": simple_signing.KIND,
            },
            "optional": {"creator": "rootless"},
        }
    ).encode()
    signature = simple_signing.sign(identity, text)
    for number in range(1, _MOST + 1):
        where = simple_signing.url(name, digest, number, staging=True)
        if place:
            where = "file://" + where.replace(
                simple_signing.base(name, staging=True), os.path.abspath(place), 1
            )
        if not where.startswith("file://"):
            raise StorageError(
                f"signatures cannot be written to {where}",
                hint="name a directory, or `lookaside-staging: file:///…` in registries.d",
            )
        path = where[7:]
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "xb") as file:
                file.write(signature)
            return path
        except FileExistsError:
            continue
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror}") from None
    raise StorageError(f"the image has {_MOST} signatures already", hint=os.path.dirname(path))


def verified(server: Registry, name: reference.Reference, keys: list[str]) -> str:
    """Return the digest of an image that one of these keys has signed.  Raises RegistryError."""
    _, _, digest = server.manifest(name.digest or name.tag)
    trust = Trust(keys=keys)
    said = _registry_problem(
        Requirement("sigstoreSigned", trust.keys, {"type": "matchRepository"}),
        server, name, [digest],
    )  # fmt: skip
    if said:
        raise RegistryError(
            f"the image {name.familiar} is not verified: {said}",
            hint="ask its maker for the key, or sign it with `rootless image sign`",
        )
    return digest
