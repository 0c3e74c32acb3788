"""`cp` onto a link: docker-cp(1) writes what the link leads to, and no link leads out."""

from __future__ import annotations

import os

import pytest
from conftest import Command, Place

pytestmark = pytest.mark.usefixtures("everyone")

_LINKS = """
mkdir -p /box/deep /other
echo old >/box/file
ln -s file /box/beside; ln -s /box/file /box/absolute; ln -s ../file /box/deep/up
ln -s beside /box/chain; ln -s /other/new /box/nothing; ln -s /box /other/dir
ln -s round /box/round; ln -s /no/such/place /box/nowhere
ln -s ../../../../../../../../tmp/NAME /box/out
"""


def test_a_link_in_the_container_is_followed_inside(
    rootless: Command, busybox_image: str, place: Place
) -> None:
    name = place.base.name
    more = "touch /ready; exec sleep 1000"
    rootless("run", "-d", "--name", "c", "--network", "none", busybox_image, "sh", "-c",
             _LINKS.replace("NAME", name) + more)  # fmt: skip
    rootless("exec", "c", "sh", "-c", "until test -e /ready; do sleep 0.01; done")

    def put(text: str, target: str, code: int = 0) -> str:
        (place.work / "mine").write_text(text)
        return rootless("cp", "mine", f"c:{target}", code=code).stderr

    def there(path: str) -> str:
        rootless("cp", f"c:{path}", "back")
        assert not (place.work / "back").is_symlink()
        return (place.work / "back").read_text()

    for number, link in enumerate(
        ("/box/beside", "/box/absolute", "/box/deep/up", "/box/chain", "/other/dir/beside")
    ):
        put(f"text {number}", link)
        assert there("/box/file") == f"text {number}"
    put("made", "/box/nothing")
    assert there("/other/new") == "made"
    # out of the root means the root: the host's /tmp has nothing new
    put("inside", "/box/out")
    assert there(f"/tmp/{name}") == "inside"
    assert not os.path.lexists(f"/tmp/{name}")
    # the links themselves are as they were
    rootless("cp", "c:/box", "all")
    found = {one: os.readlink(place.work / "all" / one) for one in ("beside", "chain")}
    assert found["beside"] == "file"
    assert found["chain"] == "beside"
    assert "does not exist" in put("x", "/box/nowhere", 125)
    assert "too many symbolic links" in put("x", "/box/round", 125)


def test_a_link_of_the_person_is_followed(
    rootless: Command, busybox_image: str, place: Place
) -> None:
    rootless("run", "--name", "c", "--network", "none", busybox_image, "sh", "-c", "echo new >/f")
    (place.work / "file").write_text("old")
    (place.work / "link").symlink_to("file")
    (place.work / "later").symlink_to("made")
    for name in ("link", "later"):
        rootless("cp", "c:/f", name)
        assert (place.work / name).is_symlink()
    assert (place.work / "file").read_text() == (place.work / "made").read_text() == "new\n"
