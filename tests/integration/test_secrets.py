"""Secrets: what containers are shown of them, and that nothing else has them."""

from __future__ import annotations

import json
import os
from pathlib import Path

from conftest import Command, Place

OFFLINE = ("--network", "none")
VALUE = "hush-that-nobody-else-writes"


def files_with(value: str, top: Path) -> list[str]:
    """Paths below `top` of files that contain it."""
    found = []
    for directory, _, names in os.walk(top):
        for name in names:
            path = Path(directory, name)
            try:
                if path.is_file() and not path.is_symlink() and value.encode() in path.read_bytes():
                    found.append(str(path))
            except PermissionError:
                continue
    return found


def test_a_secret_and_its_life(rootless: Command, tmp_path: Path) -> None:
    made = rootless("secret", "create", "-l", "a=b", "word", "-", input=VALUE).stdout.strip()
    assert "exists" in rootless("secret", "create", "word", "-", input="x", code=125).stderr
    assert rootless("secret", "create", "--ignore", "word", "-", input="x").stdout.strip() == made
    (tmp_path / "file").write_text("two")
    rootless("secret", "create", "two", tmp_path / "file")
    told = json.loads(rootless("secret", "inspect", "word").stdout)[0]
    assert told["ID"] == made and told["Spec"]["Labels"] == {"a": "b"}
    assert rootless("secret", "inspect", "-f", "{{.Spec.Name}}", made[:8]).stdout == "word\n"
    assert rootless("secret", "ls", "--format", "{{.Name}}").stdout == "two\nword\n"
    assert rootless("secret", "ls", "-q", "-f", "name=word").stdout.strip() == made
    rootless("secret", "exists", "word")
    kept = files_with(VALUE, rootless.place.base)
    assert len(kept) == 1
    assert os.stat(kept[0]).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(kept[0])).st_mode & 0o777 == 0o700
    assert rootless("secret", "rm", "word").stdout.strip() == made
    rootless("secret", "exists", "word", code=1)
    rootless("secret", "rm", "word", code=1)
    rootless("secret", "rm", "-i", "word")
    rootless("secret", "rm", "-a")
    assert rootless("secret", "ls", "-q").stdout == ""
    for name, value in (("a/b", "x"), ("empty", ""), ("large", "x" * 600000)):
        rootless("secret", "create", name, "-", input=value, code=125)


def test_what_a_container_sees_of_it(rootless: Command, busybox_image: str) -> None:
    rootless("secret", "create", "word", "-", input=VALUE)
    look = "cat /run/secrets/word; stat -c ' %a' /run/secrets/word; >/run/secrets/word || echo ro"
    run = ("run", "--name", "box", "--secret", "word", *OFFLINE, busybox_image)
    told = rootless(*run, "sh", "-c", f"{{ {look}; }} 2>/dev/null").stdout
    assert told == f"{VALUE} 444\nro\n"
    # the store has it, and what the container is lent, in memory: no record, plan, log or image
    rootless("start", "box")
    rootless("wait", "box")
    rootless("commit", "-q", "box", "made:1")
    data = rootless.place.base
    kept = {os.path.basename(os.path.dirname(one)) for one in files_with(VALUE, data)}
    logs = [one for one in files_with(VALUE, data) if one.endswith(".log")]
    assert kept - {os.path.basename(os.path.dirname(one)) for one in logs} == {"secrets"}
    assert VALUE not in rootless("inspect", "box").stdout
    made = ("run", "--rm", *OFFLINE, "made:1", "cat", "/run/secrets/word")
    assert VALUE not in rootless(*made, code=None).stdout
    # each start has what it is then
    rootless("secret", "create", "--replace", "word", "-", input="another")
    assert "another" in rootless("start", "-a", "box").stdout
    rootless("rm", "box")
    assert files_with("another", rootless.place.runtime) == []
    use = "word,target=/opt/w,mode=0400,uid=0,gid=0"
    run = ("run", "--rm", "--secret", use, *OFFLINE, busybox_image)
    assert rootless(*run, "stat", "-c", "%a", "/opt/w").stdout == "400\n"
    assert files_with("another", rootless.place.runtime) == []


def test_uses_that_are_refused(rootless: Command, busybox_image: str) -> None:
    rootless("secret", "create", "word", "-", input="x")
    for use, said in (
        ("nosuch", "no such secret"),
        ("word,type=env", "only type=mount"),
        ("word,mode=9", "mode=OCTAL"),
        ("word,target=/a/../b", "invalid --secret"),
        ("word,nosuch=1", "invalid --secret"),
    ):
        told = rootless("run", "--secret", use, *OFFLINE, busybox_image, "true", code=125)
        assert said in told.stderr
    assert rootless("ps", "-a", "-q").stdout == ""


def test_a_damaged_document_hurts_its_own_secret_alone(rootless: Command, place: Place) -> None:
    directory = place.data / "secrets"
    for text in ("", "[]", "{}", '{"version": 1, "id": 3}'):
        rootless("secret", "create", "good", "-", input=VALUE)
        rootless("secret", "create", "bad", "-", input="hidden")
        (directory / "bad.json").write_text(text)
        shown = rootless("secret", "ls", "--format", "{{.Name}} {{.Driver}}").stdout
        assert shown == "bad damaged\ngood file\n"
        assert "is damaged" in rootless("secret", "inspect", "bad", code=125).stderr
        assert rootless("secret", "rm", "bad").stdout == "bad\n"
        assert files_with("hidden", directory) == []
        assert rootless("secret", "rm", "good").code == 0
        assert [one.name for one in directory.iterdir()] == ["lock"]
