"""Where git may be sent for a repository, however its address is written."""

from __future__ import annotations

import pytest

from rootless.engine.build import repositories
from rootless.errors import UsageError


@pytest.mark.parametrize(
    "remote",
    [
        "git://127.0.0.1/r.git", "ssh://git@127.0.0.1:22/r.git", "git+ssh://[::1]/r.git",
        "git@127.1:r.git", "u@127.0.0.1:a@example.org/r.git", "[u@127.0.0.1:22]:r.git",
        "u@[::1]:r.git", "git://0.0.0.0/r.git", "ssh://u@[::ffff:127.0.0.1]/r.git",
        # nobody listens there
        "http://127.0.0.1:1/r.git", "https://u:p@localhost:1/r.git",
    ],
)  # fmt: skip
def test_addresses_of_this_machine_want_leave(remote: str) -> None:
    with pytest.raises(UsageError, match="is an address of this machine"):
        repositories.reach(remote, own_host=False)
    assert repositories.reach(remote, own_host=True)[0] == remote


@pytest.mark.parametrize("own_host", [True, False])
def test_where_clouds_have_their_secrets_nobody_is_asked(own_host: bool) -> None:
    for remote in ("git://169.254.169.254/r.git", "u@169.254.169.254:r.git"):
        with pytest.raises(UsageError, match="link-local"):
            repositories.reach(remote, own_host=own_host)


@pytest.mark.parametrize(
    "remote",
    [
        "http::http://127.0.0.1/r.git", "ssh://%31%32%37.0.0.1/r.git", "http:///r.git",
        "http://\u2460\u2461\u2466.0.0.1/r.git", "http://a.example\\@127.0.0.1\\/r.git",
        "http://h:port/r.git",
    ],
)  # fmt: skip
def test_what_git_could_read_otherwise(remote: str) -> None:
    with pytest.raises(UsageError, match="is no address of a repository"):
        repositories.reach(remote, own_host=False)


def test_other_machines_need_no_leave() -> None:
    for remote in ("git://192.0.2.1/r.git", "git@192.0.2.1:r.git", "/srv/r", "file:///srv/r"):
        found, settings = repositories.reach(remote, own_host=False)
        assert found == remote and ("http.followRedirects", "false") in settings
