"""What images are made of, and what is done to their names: history, tree, diff, mount, untag."""

from __future__ import annotations

import json
import os
import tarfile
from typing import Any

import pytest
from conftest import Command, Place

pytestmark = pytest.mark.usefixtures("everyone")


@pytest.fixture
def stack(rootless: Command, busybox_image: str) -> str:
    """An image of three layers upon busybox, each named."""
    below = "busybox:test"
    for number, script in enumerate(
        (
            "echo 1 >/one",
            "rm /one; head -c 5000 /dev/zero >/two",
            "chmod 700 /two; mkdir /d; touch /d/x",
        )
    ):
        rootless("run", "--name", "c", "--network", "none", below, "sh", "-c", script)
        below = f"step:{number}"
        rootless("commit", "-m", f"step {number}", "c", below)
        rootless("rm", "c")
    return below


def test_history(rootless: Command, stack: str) -> None:
    found = rootless("history", stack).stdout.splitlines()
    assert found[0].split() == ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    assert len(found) == 5
    identity = rootless("image", "inspect", "-f", "{{.Id}}", stack).stdout.strip()
    assert found[1].startswith(identity[7:19])
    assert all(line.startswith("<missing>") for line in found[2:])
    assert found[2].split()[-3:] == ["5kB", "step", "1"]
    assert "ago" in found[1]
    rows = rootless("history", "--format", "{{json .}}", "--no-trunc", "-H=false", stack).stdout
    assert rows.count("\n") == 4 and identity in rows and '"Size":"5000"' in rows
    assert rootless("history", "-q", "--no-trunc", stack).stdout.split()[0] == identity
    template = rootless("history", "--format", "{{.Comment}}|{{.Size}}", stack).stdout
    assert template.splitlines()[:2] == ["step 2|5kB", "step 1|5kB"]
    assert "no image" in rootless("history", "nothing", code=125).stderr


def test_sizes_are_those_of_the_files(rootless: Command, busybox_image: str) -> None:
    """As docker's and podman's: three million zeros are 3 MB, however small their blob is."""
    base = int(rootless("inspect", "-f", "{{.Size}}", busybox_image).stdout)
    rootless("run", "--name", "c", "--network", "none", busybox_image, "sh", "-c",
             "head -c 3000000 /dev/zero >/zeros; head -c 1000 /dev/zero >/root/one")  # fmt: skip
    rootless("commit", "c", "zeros:1")

    def shown(*filters: str) -> str:
        return rootless("images", "--format", "{{.Tag}} {{.Size}}", *filters).stdout

    whole = base + 3_001_000
    assert base > 500_000
    line = f"1 {whole / 1e6:.3g}MB"
    once = shown()
    # both may be of one second, and then either is first
    assert line in once.splitlines()
    assert shown() == once
    assert shown("--filter", "reference=zeros") == line + "\n"
    assert rootless("inspect", "-f", "{{.Size}} {{.VirtualSize}}", "zeros:1").stdout == (
        f"{whole} {whole}\n"
    )
    # and they stay right when names change
    rootless("tag", "zeros:1", "zeros:2")
    assert f"2 {whole / 1e6:.3g}MB" in shown()


def test_tree(rootless: Command, stack: str) -> None:
    lines = rootless("image", "tree", stack).stdout.splitlines()
    assert lines[1] == "Tags:     [localhost/step:2]"
    assert [line[:3] for line in lines[4:]] == ["├──"] * 3 + ["└──"]
    assert lines[4].endswith("Top Layer of: [localhost/busybox:test]")
    assert lines[-1].endswith("Top Layer of: [localhost/step:2]")
    found = rootless("image", "tree", "--whatrequires", "--format", "json", "busybox:test").json()
    tops = [name for row in found["Layers"] for name in row["Top"]]
    assert tops[:1] == ["localhost/busybox:test"]
    assert {f"localhost/step:{number}" for number in range(3)} <= set(tops)


def test_diff(rootless: Command, stack: str) -> None:
    assert rootless("image", "diff", "step:1").stdout == "D /one\nA /two\n"
    assert rootless("diff", stack).stdout == "A /d\nA /d/x\nC /two\n"
    both = rootless("image", "diff", stack, "busybox:test", "--format", "json").json()
    assert both == {"added": ["/d", "/d/x", "/two"]}
    assert rootless("image", "diff", stack, stack).stdout == ""


def test_names(rootless: Command, busybox_image: str) -> None:
    rootless("image", "exists", busybox_image)
    assert rootless("image", "exists", "nothing", code=1).stdout == ""
    rootless("tag", busybox_image, "a:1", "quay.io/x/b:2")
    rootless("untag", busybox_image, "a:1")
    rootless("image", "exists", "a:1", code=1)
    assert (
        "another image"
        in rootless("untag", busybox_image, imported(rootless, "other:1"), code=125).stderr
    )
    identity = rootless("images", "-q", busybox_image).stdout.strip()
    rootless("untag", identity)
    found = rootless("image", "inspect", identity).json()[0]
    assert found["RepoTags"] == []
    rootless("untag", "a:1", code=125)


def test_a_short_name_is_that_of_an_image_here(rootless: Command, place: Place) -> None:
    """Found by its last part, as with podman; several names do not take each other's place."""
    for name in ("first:1", "team/small:2", "docker.io/library/small:3", "localhost/small:1"):
        rootless("import", "-c", f"LABEL n={name}", "-", name, input=bytes(10240))
    rootless("tag", "first:1", "zz:1")

    def found(pattern: str) -> list[str]:
        listed = rootless("images", "--format", "{{.Repository}}:{{.Tag}}", pattern).stdout.split()
        by_filter = rootless("images", "-f", f"reference={pattern}", "--format",
                             "{{.Repository}}:{{.Tag}}").stdout.split()  # fmt: skip
        assert by_filter == listed
        return sorted(listed)

    three = ["localhost/small:1", "localhost/team/small:2", "small:3"]
    assert found("small") == found("sm*") == three
    assert found("small:1") == found("localhost/small") == found("localhost/*ll") == three[:1]
    assert found("team/small") == found("team/*:2") == found("small:2") == three[1:2]
    assert found("library/small") == found("docker.io/library/small:3") == three[2:]
    assert found("other") == found("localhost/*/*/*") == []
    rootless("create", "--name", "c", "--network", "none", "zz:1", "x")
    assert rootless("ps", "-a", "--format", "{{.Image}}").stdout == "localhost/zz:1\n"
    # in an archive is the name by which the image was found
    rootless("tag", "localhost/small:1", "docker.io/library/small:1")
    rootless("save", "-q", "-o", "s.tar", "small:1")
    with tarfile.open(place.work / "s.tar") as archive:
        listed = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert listed[0]["RepoTags"] == ["localhost/small:1"]


def imported(rootless: Command, name: str) -> str:
    rootless("import", "-", name, input=bytes(10240))
    return name


def test_inspect_is_complete(rootless: Command, stack: str) -> None:
    """The keys that docker and podman have; docker's own documentation names most of them."""
    found: Any = rootless("image", "inspect", stack).json()[0]
    keys = """Id RepoTags RepoDigests Parent Comment Created Author Config Architecture Os Size
    GraphDriver RootFS Metadata Digest VirtualSize Labels Annotations ManifestType User History"""
    assert set(keys.split()) <= set(found)
    assert found["Comment"] == "step 2"
    assert found["ManifestType"] == "application/vnd.oci.image.manifest.v1+json"
    assert os.path.isdir(found["GraphDriver"]["Data"]["UpperDir"])
    assert found["GraphDriver"]["Data"]["LowerDir"].count(":") == 2
    assert found["Metadata"]["LastTagTime"].startswith("20")


def test_mount(rootless: Command, stack: str, place: Place) -> None:
    refused = rootless("image", "mount", stack, code=125)
    assert "rootless unshare" in refused.stderr
    words = " ".join(rootless.words)
    script = f"""
    set -e
    m=$({words} image mount {stack}); test "$m" = "$({words} image mount {stack})"
    test -e $m/two -a ! -e $m/one -a -x $m/bin/busybox
    ! touch $m/new 2>/dev/null
    {words} image mount | grep -q "^localhost/step:2  $m"
    ({words} image mount busybox:test; {words} image mount --format json) >/dev/null
    {words} image unmount {stack} >/dev/null; test ! -e $m
    ! {words} image unmount {stack} 2>/dev/null
    {words} image umount --all >/dev/null
    test -z "$({words} image mount)"
    """
    done = rootless("unshare", "sh", "-c", script)
    assert done.stderr == ""
    assert not os.listdir(place.data / "mounts")
