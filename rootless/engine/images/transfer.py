"""Images on their way: push, copy, and what registries are asked without taking an image.

Scope: the local store, the transports and the user's settings, introduced to each other.
"""

from __future__ import annotations

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.context import Context
    from rootless.engine.images.local import LocalImages
    from rootless.images.registry.http import Settings


def settings(
    auth_config: dict[str, str] | None = None,
    authfile: str = "",
    cert_dir: str = "",
    *,
    retries: int | None = None,
    delay: float | None = None,
) -> Settings:
    """Who we are to registries, and how often we ask again after how many seconds (by default as
    always); `auth_config` as docker's library has it: username, password."""
    from rootless.images.registry.credentials import Credentials
    from rootless.images.registry.http import Settings

    given = None
    if auth_config:
        given = Credentials(
            auth_config.get("username", ""),
            auth_config.get("password", ""),
            auth_config.get("identitytoken", ""),
        )
    made = Settings(authfile=authfile, cert_dir=cert_dir, credentials=given, backoff=delay)
    if retries is not None:
        made.attempts = retries + 1
    return made


def creds(text: str | None) -> dict[str, str] | None:
    """What `--creds USER:PASSWORD` says.  Raises UsageError."""
    if not text:
        return None
    user, colon, password = text.partition(":")
    if not user or not colon:
        raise UsageError("--creds has no password", hint="--creds USER:PASSWORD")
    return {"username": user, "password": password}


def push(images: LocalImages, name: str, target: str, words: dict[str, Json]) -> Json:
    """Send an image of the store to a registry or another place; what was written.

    `words`: `format`, `compression_format`, `compression_level`, `chunk_size` (bytes, or text such
    as 16m), `tls_verify`, `settings`.
    """
    from rootless.images import transports
    from rootless.images.names import reference
    from rootless.images.transfer import copy as transfer_copy
    from rootless.images.transports import local as transport_local
    from rootless.images.transports import registry as transport_registry

    place = transports.parse(target or reference.parse(name).canonical)
    images.fetch_missing(name)
    source = transport_local.StoreSource(images.ctx.data_dir, name)
    try:
        there = place.target(tls_verify=words.get("tls_verify"), settings=words.get("settings"))
        try:
            if isinstance(there, transport_registry.RegistryTarget):
                there.chunk = _bytes(words.get("chunk_size") or 0)
            copied = transfer_copy.copy(
                source,
                there,
                platform=source.record.platform,
                format=words.get("format") or "",
                compress=words.get("compression_format") or "",
                level=words.get("compression_level"),
                progress=images.ctx.progress,
            )
        finally:
            there.close()
        if isinstance(there, transport_registry.RegistryTarget):
            # What a registry has under this name is known by that digest from now on.
            source.record.digests = [f"{there.reference.name}@{copied.digest}"]
            source.store.put(source.record, [])
        images.event("push", source.record, name)
    finally:
        source.close()
    return {"Target": there.name, "Digest": copied.digest, "Size": copied.size}


def _bytes(size: int | str) -> int:
    from rootless.cgroups import limits

    return limits.size(size) if isinstance(size, str) else size


def copy(ctx: Context, source: str, target: str, words: dict[str, Json]) -> Json:
    """Copy an image from a place to another without the local store; what was written.

    `words`: `all`, `platform`, `preserve_digests`, `format`, `compression_format`,
    `compression_level`, and for each side `tls_verify` and `settings` with `src_` or `dest_`
    before it.
    """
    from rootless.engine.images import trust as image_trust
    from rootless.images import transports
    from rootless.images.transfer import copy as transfer_copy

    to = transports.parse(target)
    reading = transports.parse(source).source(
        data_dir=ctx.data_dir,
        tls_verify=words.get("src_tls_verify"),
        settings=words.get("src_settings"),
    )
    try:
        there = to.target(
            tls_verify=words.get("dest_tls_verify"), settings=words.get("dest_settings")
        )
        try:
            copied = transfer_copy.copy(
                reading,
                there,
                all=bool(words.get("all")),
                platform=words.get("platform"),
                preserve=bool(words.get("preserve_digests")),
                format=words.get("format") or "",
                compress=words.get("compression_format") or "",
                level=words.get("compression_level"),
                progress=ctx.progress,
                trust=image_trust.rules(ctx),
            )
        finally:
            there.close()
    finally:
        reading.close()
    return {"Target": there.name, "Digest": copied.digest, "Size": copied.size}


def distribution(name: str, auth_config: dict[str, str] | None = None) -> Json:
    """What a registry has under a name, in the shape of docker's API; see Images.distribution."""
    from rootless import documents
    from rootless.images.registry import client as registry_client

    server = registry_client.connect(name, settings=settings(auth_config) if auth_config else None)
    try:
        data, kind, digest = server.manifest(server.reference.digest or server.reference.tag)
        found = documents.loads(data.decode())
        platforms = [one.get("platform") or {} for one in found.get("manifests") or ()]
        if not platforms and "config" in found:
            described = found["config"]
            blob = server.blob(described["digest"], described["size"])
            config = documents.loads(b"".join(blob).decode())
            platforms = [{key: config.get(key, "") for key in ("architecture", "os")}]
    finally:
        server.close()
    return {
        "Descriptor": {"mediaType": kind, "digest": digest, "size": len(data)},
        "Platforms": platforms,
    }
