"""Options of `build`: what docker and podman have is there, or refused by name and in the table.

`python -m tests.unit.cli.test_build_options` writes the tables of docs/build.md anew.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rootless.cli import options
from rootless.cli.verbs import _build_options as table
from rootless.cli.verbs import build
from rootless.errors import UsageError

DOCUMENT = Path(__file__).resolve().parents[3] / "docs/build.md"

# options of `docker buildx build` (buildx 0.29), of docker's own `build` and of `podman build` 5.6
DOCKER = """--add-host --allow --annotation
--attest --build-arg --build-context --builder --cache-from
--cache-to --call --cgroup-parent --check --compress --cpu-period --cpu-quota --cpu-shares
--cpuset-cpus --cpuset-mems --disable-content-trust --file --force-rm --iidfile --isolation --label
--load --memory --memory-swap --metadata-file --network --no-cache --no-cache-filter --output
--platform --policy --print --progress --provenance --pull --push --quiet --rm --sbom --secret
--security-opt --shm-size --squash --ssh --tag --target --ulimit""".split()
PODMAN = """--add-host --all-platforms --annotation --arch --authfile --build-arg --build-arg-file
--build-context --cache-from --cache-to --cache-ttl --cap-add --cap-drop --cert-dir --cgroup-parent
--cgroupns --compat-volumes --compress --cpp-flag --cpu-period --cpu-quota --cpu-shares
--cpuset-cpus --cpuset-mems --created-annotation --creds --cw --decryption-key --device
--disable-compression --disable-content-trust --dns --dns-option --dns-search --env --file
--force-rm --format --from --group-add --hooks-dir --http-proxy --identity-label --ignorefile
--iidfile --inherit-annotations --inherit-labels --ipc --isolation --jobs --label --layer-label
--layers --logfile --logsplit --manifest --memory --memory-swap --metadata-file --network --no-cache
--no-hostname --no-hosts --omit-history --os --os-feature --os-version --output --pid --platform
--pull --quiet --retry --retry-delay --rewrite-timestamp --rm --runtime-flag --rusage
--rusage-logfile --sbom --sbom-image-output --sbom-image-purl-output --sbom-merge-strategy
--sbom-output --sbom-purl-output --sbom-scanner-command --sbom-scanner-image --secret
--security-opt --shm-size --sign-by --signature-policy --skip-unused-stages --source-date-epoch
--source-policy-file --squash --squash-all --ssh --stdin --tag --target --timestamp --tls-verify
--ulimit --unsetannotation --unsetenv --unsetlabel --userns --userns-gid-map --userns-gid-map-group
--userns-uid-map --userns-uid-map-user --uts --variant --volume""".split()


def rows(kind: str) -> list[str]:
    """The rows of a table of the document."""
    if kind == "refused":
        return [f"| `{name}` | {why} |" for name, why in sorted(table.REFUSED.items())]
    return [f"| `{name}` | {value}: {why} |" for name, (value, why) in sorted(table.ONLY.items())]


def written(text: str) -> str:
    """The document with its tables as they are to be."""
    for kind in ("refused", "only"):
        inside = "\n".join(rows(kind))
        text = re.sub(
            rf"\n(\| --- \| --- \|\n)(?:\|[^\n]*\n)*<!-- {kind}: end -->",
            lambda match, kind=kind, inside=inside: (  # type: ignore[misc]
                f"\n{match[1]}{inside}\n<!-- {kind}: end -->"
            ),
            text,
        )
    return text


def test_every_option_is_known() -> None:
    known = {name for option in build.VERB.options for name in option.names}
    assert set(DOCKER) | set(PODMAN) <= known
    assert set(table.REFUSED) | set(table.ONLY) | set(table.NOTHING) <= known


def test_the_tables_are_in_the_document() -> None:
    text = DOCUMENT.read_text()
    assert written(text) == text


@pytest.mark.parametrize("name", [*table.REFUSED, *table.ONLY])
def test_what_is_refused(name: str) -> None:
    option = next(one for one in build.VERB.options if name in one.names)
    words = [name] if option.kind == options.FLAG else [f"{name}=some/thing"]
    given, _ = options.parse(build.VERB.options, words, stop_early=False)
    with pytest.raises(UsageError) as caught:
        table.refuse(given)
    assert name in caught.value.message and caught.value.hint


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text()))
