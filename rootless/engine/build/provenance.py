"""--provenance: what an image was made of, as an attestation beside it in its index.

Scope: an in-toto statement (v1) with SLSA's predicate (https://slsa.dev/provenance/v1), and the
manifest that carries it as BuildKit's do: of the platform unknown/unknown, with annotations that
say which manifest it speaks of.  No secret is in it: with `mode=min` names and digests only, with
`mode=max` also arguments, labels and the Dockerfile.
"""

from __future__ import annotations

import base64
import hashlib
import os

from rootless import documents
from rootless.build.config import stamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rootless.build.executor import Plan
    from rootless.documents import Json
    from rootless.engine.build.images import BaseImages
    from rootless.engine.build.request import Request
    from rootless.images.record import ImageRecord, MemberDocument
    from rootless.images.store.store import ImageStore

PREDICATE = "https://slsa.dev/provenance/v1"
_BUILD_TYPE = "https://rootless.dev/build/dockerfile@v1"
_IN_TOTO = "application/vnd.in-toto+json"


class Facts:
    """What is known of one build when it has ended."""

    def __init__(
        self, request: Request, plan: Plan, dockerfile: bytes, began: float, ended: float
    ) -> None:
        self.request = request
        self.plan = plan
        self.dockerfile = dockerfile
        self.began = began
        self.ended = ended


def statement(
    facts: Facts, image: ImageRecord, names: list[str], bases: BaseImages, platform: str
) -> dict[str, Json]:
    """The in-toto statement of an image."""
    from rootless.version import __version__

    request, options = facts.request, facts.request.options
    most = request.provenance == "max"
    digest = {"sha256": image.manifest_digest[7:]}
    quoted = platform.replace("/", "%2F")
    subject = [{"name": f"pkg:docker/{_purl(name)}?platform={quoted}", "digest": digest}
               for name in names]  # fmt: skip
    arguments: dict[str, Json] = {}
    if options.target:
        arguments["target"] = options.target
    if most:
        arguments |= {f"build-arg:{name}": text for name, text in options.build_args.items()}
        arguments |= {f"label:{name}": text for name, text in options.labels.items()}
        if options.no_cache:
            arguments["no-cache"] = ""
    asked: dict[str, Json] = {"frontend": "dockerfile.v0", "args": arguments}
    if most:
        # ids are no secrets: the Dockerfile has them
        asked["secrets"] = [{"id": name, "optional": True} for name in sorted(options.secrets)]
        asked["ssh"] = [{"id": name, "optional": True} for name in sorted(options.ssh)]
    when = options.timestamp if options.timestamp is not None else options.epoch
    began, ended = (facts.began, facts.ended) if when is None else (float(when), float(when))
    internal: dict[str, Json] = {"builderPlatform": str(facts.plan.platform)}
    metadata: dict[str, Json] = {"startedOn": stamp(began), "finishedOn": stamp(ended)}
    if when is None:
        metadata["invocationId"] = os.urandom(16).hex()
    if most:
        internal["dockerfile"] = base64.b64encode(facts.dockerfile).decode()
        internal["graph"] = facts.plan.graph.as_json()
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": PREDICATE,
        "subject": subject or [{"name": "_", "digest": digest}],
        "predicate": {
            "buildDefinition": {
                "buildType": _BUILD_TYPE,
                "externalParameters": {
                    "configSource": {"path": os.path.basename(request.file or "Dockerfile")},
                    "request": asked,
                },
                "internalParameters": internal,
                "resolvedDependencies": _dependencies(bases, quoted),
            },
            "runDetails": {
                "builder": {"id": "", "version": {"rootless": __version__}},
                "metadata": metadata,
            },
        },
    }


def _dependencies(bases: BaseImages, platform: str) -> list[dict[str, Json]]:
    """The images that it was made from, by the digests under which they can be had again."""
    found = []
    for name, record in sorted(bases.named.items()):
        digest = record.digests[0].rpartition("@")[2] if record.digests else record.manifest_digest
        uri = f"pkg:docker/{_purl(name)}?platform={platform}"
        found.append({"uri": uri, "digest": {"sha256": digest.rpartition(":")[2]}})
    return found


def _purl(name: str) -> str:
    from rootless.images.names import reference

    parsed = reference.parse(name)
    short = parsed.name.removeprefix("docker.io/library/").removeprefix("docker.io/")
    return f"{short}@{parsed.tag or 'latest'}" if not parsed.digest else short


def keep(store: ImageStore, told: Mapping[str, Json], of: str) -> MemberDocument:
    """Keep a statement; the member of an index that says it of the manifest `of`.

    The caller holds the store's guard.
    """
    from rootless.images.formats import manifests
    from rootless.images.store import ingest
    from rootless.images.transfer import manifest_lists

    data = documents.dumps(dict(told)).encode()
    layer = ingest.ingest_bytes(store, data)
    rootfs = {"type": "layers", "diff_ids": [layer]}
    config = documents.dumps(
        {"architecture": "unknown", "os": "unknown", "config": {}, "rootfs": rootfs}
    ).encode()
    config_digest = ingest.ingest_bytes(store, config)
    manifest = documents.dumps(
        {
            "schemaVersion": 2,
            "mediaType": manifests.OCI_MANIFEST,
            "config": {
                "mediaType": manifests.OCI_CONFIG, "digest": config_digest, "size": len(config),
            },
            "layers": [
                {
                    "mediaType": _IN_TOTO, "digest": layer, "size": len(data),
                    "annotations": {"in-toto.io/predicate-type": str(told["predicateType"])},
                }
            ],
        }
    ).encode()  # fmt: skip
    digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
    ingest.ingest_bytes(store, manifest)
    return {
        "mediaType": manifests.OCI_MANIFEST,
        "digest": digest,
        "size": len(manifest),
        "source": manifest_lists.STORE,
        "blobs": [digest, config_digest, layer],
        "platform": {"architecture": "unknown", "os": "unknown"},
        "annotations": {
            "vnd.docker.reference.digest": of,
            "vnd.docker.reference.type": "attestation-manifest",
        },
    }
