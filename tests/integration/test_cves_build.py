"""Holes that builders had: an image or a context that reaches for the host while it is built."""

from __future__ import annotations

from pathlib import Path

import image_reader
import pytest
from conftest import Command, Place

pytestmark = pytest.mark.usefixtures("everyone")

# the same hole in another way in; the tests of the second try both
SAME = {"2024_9407": "2024_1753", "2022_4123": "2022_4122"}


@pytest.fixture
def marker(place: Place) -> Path:
    """A file of the host that no build may see or change."""
    directory = place.work / "host"
    directory.mkdir()
    (directory / "marker").write_text("of the host")
    return directory / "marker"


def built(rootless: Command, place: Place, text: str, code: int = 0) -> image_reader.Read | None:
    context = place.work / "context"
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text(text)
    rootless("build", "-q", "-t", "made", context, code=code)
    if code:
        return None
    path = place.work / "made.tar"
    rootless("save", "--format", "oci-archive", "-o", path, "made")
    return image_reader.read(path)


@pytest.mark.parametrize("link", ["/", "/../../../../..", "{host}"])
def test_cve_2024_1753_a_mount_follows_no_link_out(
    rootless: Command, place: Place, busybox_image: str, marker: Path, link: str
) -> None:
    """CVE-2024-1753, CVE-2024-9407: the source of a mount is a link of the image's."""
    target = link.format(host=marker.parent)
    text = f"""FROM {busybox_image} AS evil
RUN mkdir -p {marker.parent} && rmdir {marker.parent} && ln -s {target} /link
FROM {busybox_image}
RUN --mount=type=bind,from=evil,source=link,target=/x,rw \\
    (cat /x/marker /x{marker}; echo changed >/x{marker}; echo changed >/x/marker) >/seen 2>&1; true
"""
    # a link to what the stage has not is an error; one to its root shows that root
    code = 125 if link == "{host}" else 0
    image = built(rootless, place, text, code)
    assert image is None or b"of the host" not in image.files["/seen"].content
    assert marker.read_text() == "of the host"


@pytest.mark.parametrize("name", ["../../../host", "{host}", "a/../../../../host"])
def test_cve_2024_9675_a_cache_mount_is_no_path(
    rootless: Command, place: Place, busybox_image: str, marker: Path, name: str
) -> None:
    """CVE-2024-9675: the id of a cache mount was a path below the cache."""
    identity = name.format(host=marker.parent)
    image = built(
        rootless,
        place,
        f"FROM {busybox_image}\nRUN --mount=type=cache,id={identity},target=/c ls -a /c >/seen; "
        "touch /c/new\n",
    )
    assert image is not None and b"marker" not in image.files["/seen"].content
    assert sorted(one.name for one in marker.parent.iterdir()) == ["marker"]


def test_cve_2024_23652_a_mount_point_behind_a_link(
    rootless: Command, place: Place, busybox_image: str, marker: Path
) -> None:
    """CVE-2024-23652: what a builder removes as its mount point was a file of the host."""
    image = built(
        rootless,
        place,
        f"FROM {busybox_image}\nRUN ln -s {marker.parent} /link\n"
        "RUN --mount=type=tmpfs,target=/link/marker true\n"
        "RUN --mount=type=tmpfs,target=/link/new true\n",
    )
    assert image is not None
    assert sorted(one.name for one in marker.parent.iterdir()) == ["marker"]
    assert marker.read_text() == "of the host"


@pytest.mark.parametrize("name", [".dockerignore", ".containerignore", "Dockerfile"])
def test_cve_2022_4122_links_of_the_context_stay_in_it(
    rootless: Command, place: Place, busybox_image: str, marker: Path, name: str
) -> None:
    """CVE-2022-4122, CVE-2022-4123: a link as ignore file told of files of the host."""
    context = place.work / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM scratch\nCOPY . /o\n")
    (context / name).unlink(missing_ok=True)
    (context / name).symlink_to(f"../host/{marker.name}")
    told = rootless("build", "-q", context, code=None)
    assert "of the host" not in told.stdout + told.stderr
    assert (told.code == 0) == (name != "Dockerfile")


def test_cve_2019_13139_a_repository_gives_no_option_to_git(
    rootless: Command, place: Place
) -> None:
    """CVE-2019-13139: a reference that begins with a dash was an option of git's."""
    for address in (
        f"https://127.0.0.1:1/r.git#--upload-pack=touch {place.work}/ran",
        f"ssh://-oProxyCommand=touch%20{place.work}%2Fran/r.git",
    ):
        rootless("build", "-q", address, code=125)
    assert not (place.work / "ran").exists()
