"""Manifest lists, and what registries are asked: search, tags, referrers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest
from conftest import Command, Place
from front import Front, Request
from registry import Layout, Registry, registry

__all__ = ["registry"]


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    made = Layout(tmp_path_factory.mktemp("layout"))
    one = made.image("amd", [{"bin/true": b"x" * 100}])
    arm = made.image("arm", [{"bin/true": b"arm"}], architecture="arm64", variant="v8")
    made.index("multi", [one, arm])
    return made


@pytest.fixture
def images(rootless: Command, layout: Layout) -> list[str]:
    """Two images in this test's store."""
    names = []
    for tag in ("amd", "arm"):
        words = ("--platform", "linux/arm64") if tag == "arm" else ()
        rootless("pull", "-q", *words, f"oci:{layout.path}:{tag}")
        rootless("tag", f"localhost/{layout.path.name}:{tag}", f"local:{tag}")
        names.append(f"local:{tag}")
    return names


def raw(name: str) -> dict[str, object]:
    done = subprocess.run(
        ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}"],
        capture_output=True, check=True,
    )  # fmt: skip
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_a_list_of_images_from_here_and_there(
    rootless: Command, images: list[str], registry: Registry, layout: Layout, place: Place
) -> None:
    registry.push(f"oci:{layout.path}:arm", "there/arm:1")
    rootless("manifest", "create", "team/list:1", images[0])
    rootless("manifest", "exists", "team/list:1")
    rootless("manifest", "exists", "team/none:1", code=1)
    told = rootless("manifest", "create", "team/list:1", code=125)
    assert "the manifest list team/list:1 exists already" in told.stderr
    told = rootless("manifest", "add", "--annotation", "a=b", "team/list:1",
                    f"docker://{registry.host}/there/arm:1")  # fmt: skip
    digest = told.stdout.strip()
    assert digest == layout.entries[1]["digest"]
    found = rootless("manifest", "inspect", "team/list:1").json()
    assert [one["platform"] for one in found["manifests"]] == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm64", "os": "linux", "variant": "v8"},
    ]
    assert found["manifests"][1]["annotations"] == {"a": "b"}
    name = f"{registry.host}/team/list:1"
    told = rootless("manifest", "push", "--digestfile", "d", "team/list:1", name)
    assert (place.work / "d").read_text() in told.stdout
    assert raw(name) == found
    # any machine finds its own
    other = rootless("inspect", "--format", "{{.Id}}", images[1]).stdout.strip()
    told = rootless("pull", "-q", "--platform", "linux/arm64", name)
    assert told.stdout.strip() in other
    rootless("manifest", "rm", "team/list:1")
    rootless("manifest", "exists", "team/list:1", code=1)
    told = rootless("manifest", "rm", "team/list:1", code=125)
    assert "there is no manifest list team/list:1" in told.stderr


def test_a_short_name_is_first_that_of_a_list_made_here(rootless: Command) -> None:
    """As with images: `build --platform A,B -t made` makes localhost/made."""
    rootless("manifest", "create", "localhost/made")
    rootless("manifest", "inspect", "made")
    assert "exists already" in rootless("manifest", "create", "made", code=125).stderr
    rootless("manifest", "create", "docker.io/library/made")
    rootless("manifest", "rm", "made")
    rootless("manifest", "exists", "localhost/made", code=1)
    rootless("manifest", "rm", "made")
    rootless("manifest", "exists", "docker.io/library/made", code=1)


def test_annotate_and_remove(rootless: Command, images: list[str]) -> None:
    rootless("manifest", "create", "l", *images)
    rootless("manifest", "annotate", "--arch", "riscv64", "--os", "linux", "--variant", "x",
             "--os-version", "6", "--os-features", "a,b", "--annotation", "k=v",
             "l", images[1])  # fmt: skip
    found = rootless("manifest", "inspect", "l").json()["manifests"]
    assert found[1]["platform"] == {
        "architecture": "riscv64",
        "os": "linux",
        "variant": "x",
        "os.version": "6",
        "os.features": ["a", "b"],
    }
    assert found[1]["annotations"] == {"k": "v"}
    told = rootless("manifest", "annotate", "--annotation", "k", "l", images[1], code=125)
    assert 'invalid --annotation "k"' in told.stderr
    rootless("manifest", "remove", "l", found[1]["digest"])
    assert len(rootless("manifest", "inspect", "l").json()["manifests"]) == 1
    told = rootless("manifest", "remove", "l", images[1], code=125)
    assert f"the manifest list docker.io/library/l:latest has no image {images[1]}" in told.stderr


def test_images_of_a_list_stay(rootless: Command, images: list[str], registry: Registry) -> None:
    """Removing the image keeps what the list is made of."""
    rootless("manifest", "create", "kept", *images)
    for name in images:
        rootless("rmi", "-f", name)
    rootless("image", "prune", "-a", "-f")
    rootless("push", "-q", "--all", "kept", f"{registry.host}/kept/list:1")
    assert len(raw(f"{registry.host}/kept/list:1")["manifests"]) == 2  # type: ignore[arg-type]


def test_an_index_as_a_whole(
    everyone: str, rootless: Command, registry: Registry, layout: Layout
) -> None:
    name = registry.push(f"oci:{layout.path}:multi", "whole/index:1")
    rootless("manifest", "create", "--all", "whole", name)
    assert len(rootless("manifest", "inspect", "whole").json()["manifests"]) == 2
    rootless("manifest", "create", "--amend", "whole", name)
    found = rootless("manifest", "inspect", name).json()
    assert found["mediaType"] == "application/vnd.oci.image.index.v1+json"
    rootless("manifest", "push", "-q", "--rm", "--format", "v2s2", "whole",
             f"{registry.host}/whole/docker:1")  # fmt: skip
    rootless("manifest", "exists", "whole", code=1)
    made = raw(f"{registry.host}/whole/docker:1")
    assert made["mediaType"] == "application/vnd.docker.distribution.manifest.list.v2+json"
    told = rootless("manifest", "create", "bad", f"{registry.host}/no/such:1", code=125)
    assert "has no image" in told.stderr
    rootless("manifest", "exists", "bad", code=1)


def test_tags_and_search(rootless: Command, registry: Registry, layout: Layout) -> None:
    for tag in ("1", "2", "latest"):
        registry.push(f"oci:{layout.path}:amd", f"listed/tool:{tag}")
    told = rootless("image", "tags", f"{registry.host}/listed/tool")
    assert told.stdout.split() == ["1", "2", "latest"]
    told = rootless("search", "--list-tags", f"{registry.host}/listed/tool")
    assert told.stdout.splitlines()[0].split() == ["NAME", "TAG"]
    told = rootless("pull", "-q", "--all-tags", f"{registry.host}/listed/tool")
    assert len(told.stdout.splitlines()) == 3
    assert "listed/tool" in rootless("images").stdout
    told = rootless("image", "tags", f"{registry.host}/listed/none", code=125)
    assert f"{registry.host} has no repository" in told.stderr
    told = rootless("search", "--format", "{{.Name}}", f"{registry.host}/sted/to")
    assert told.stdout.split() == [f"{registry.host}/listed/tool"]
    assert rootless("search", "--format", "json", f"{registry.host}/nothing-such").json() == []
    told = rootless("search", "--limit", "0", f"{registry.host}/x", code=125)
    assert "cannot search for 0 images" in told.stderr


def test_search_as_docker_io_has_it(rootless: Command, registry: Registry) -> None:
    results = [
        {"name": f"n{i}", "description": "d\n" * i, "star_count": i, "is_official": i == 3}
        for i in range(5)
    ]

    def fault(request: Request) -> bool:
        if not request.path.startswith("/v1/search?q=tool&"):
            return False
        return request.answer(200, json.dumps({"num_pages": 1, "results": results}).encode())

    with Front(registry) as front:
        front.fault = fault
        told = rootless("search", "--limit", "4", "--filter", "stars=1", f"{front.host}/tool")
        lines = told.stdout.splitlines()
        assert lines[0].split() == ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"]
        assert [line.split()[0] for line in lines[1:]] == [f"{front.host}/n{i}" for i in (1, 2, 3)]
        told = rootless("search", "--filter", "is-official=true", "--format", "{{.StarCount}}",
                        f"{front.host}/tool")  # fmt: skip
        assert told.stdout == "3\n"
        told = rootless("search", "--filter", "colour=red", f"{front.host}/tool", code=125)
        assert 'invalid filter "colour"' in told.stderr


def test_long_lists_come_in_pages(rootless: Command, registry: Registry, layout: Layout) -> None:
    def fault(request: Request) -> bool:
        if "/tags/list" not in request.path:
            return False
        second = "last=b" in request.path
        names = ["c"] if second else ["a", "b"]
        link = {} if second else {"Link": '</v2/paged/x/tags/list?n=2&last=b>; rel="next"'}
        return request.answer(200, json.dumps({"tags": names}).encode(), link)

    with Front(registry) as front:
        front.fault = fault
        assert rootless("image", "tags", f"{front.host}/paged/x").stdout.split() == ["a", "b", "c"]
        front.fault = lambda request: request.answer(
            200, b'{"tags":["a"]}', {"Link": '<http://elsewhere.example/>; rel="next"'}
        )
        told = rootless("image", "tags", f"{front.host}/paged/x", code=125)
        assert "continues its list at http://elsewhere.example/" in told.stderr


# referrers


@pytest.fixture
def signed(layout: Layout) -> Iterator[str]:
    """A layout with an artifact whose subject is the image `amd`."""
    subject = {k: layout.entries[0][k] for k in ("mediaType", "digest", "size")}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/vnd.example.signature",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", **layout.blob(b"{}")},
        "layers": [{"mediaType": "text/plain", **layout.blob(b"signature")}],
        "subject": subject,
        "annotations": {"who": "ann"},
    }
    entry = {"mediaType": manifest["mediaType"], **layout.blob(json.dumps(manifest).encode())}
    layout.add("signature", entry)
    yield f"oci:{layout.path}:signature"
    layout.entries.pop()
    layout.add("again", layout.entries.pop())


def test_referrers_of_a_registry_that_has_no_such_question(
    rootless: Command, registry: Registry, layout: Layout, signed: str
) -> None:
    """docker-registry 2.8: the tag sha256-... stands in."""
    image = f"{registry.host}/signed/app:1"
    rootless("copy", "-q", f"oci:{layout.path}:amd", image)
    assert rootless("image", "referrers", "-q", image).stdout == ""
    rootless("copy", "-q", signed, f"{registry.host}/signed/app:signature")
    digest = layout.entries[-1]["digest"]
    assert rootless("image", "referrers", "-q", image).stdout == f"{digest}\n"
    told = rootless("image", "referrers", image)
    assert "application/vnd.example.signature" in told.stdout
    told = rootless("image", "referrers", "-q", "--artifact-type", "text/other", image)
    assert told.stdout == ""
    found = rootless("image", "referrers", "--format", "json", image).json()
    assert found["Annotations"] == {"who": "ann"}
    told = rootless("pull", f"{registry.host}/signed/app:signature", code=125)
    assert "not a container image but an artifact" in told.stderr


def test_referrers_of_a_registry_that_has_it(
    rootless: Command, registry: Registry, layout: Layout
) -> None:
    rootless("copy", "-q", f"oci:{layout.path}:amd", f"{registry.host}/asked/app:1")
    entry = {"mediaType": "m", "digest": "sha256:" + "1" * 64, "size": 3, "artifactType": "t/x"}
    other = {**entry, "digest": "sha256:" + "2" * 64, "artifactType": "t/y"}

    def fault(request: Request) -> bool:
        if "/referrers/" not in request.path:
            return False
        if "page=2" in request.path:
            return request.answer(200, json.dumps({"manifests": [other]}).encode())
        link = {"Link": f'<{request.path.partition("?")[0]}?page=2>; rel="next"'}
        return request.answer(200, json.dumps({"manifests": [entry]}).encode(), link)

    with Front(registry) as front:
        front.fault = fault
        name = f"{front.host}/asked/app:1"
        told = rootless("image", "referrers", "-q", name)
        assert told.stdout.split() == [entry["digest"], other["digest"]]
        # a registry that does not choose leaves it to us
        told = rootless("image", "referrers", "-q", "--artifact-type", "t/y", name)
        assert told.stdout.split() == [other["digest"]]
