"""The table of the options of containers, and what is made from it."""

from __future__ import annotations

import pytest

from rootless.cli import generate
from rootless.cli.container_flags import SECTIONS
from rootless.cli.verbs import create, exec, run, update
from rootless.engine.spec.option_values import ExecOptions
from rootless.engine.spec.options import ContainerOptions

TABLE = [one for _, flags in SECTIONS for one in flags]


@pytest.mark.parametrize("name", sorted(generate.MADE))
def test_what_is_made_from_the_table_is_up_to_date(name: str) -> None:
    made = generate.MADE[name]()
    with open(f"{generate.PACKAGE}/{name}") as file:
        assert file.read() == made, "python -m rootless.cli.generate"


def test_every_option_is_a_field_and_no_field_has_no_option() -> None:
    fields = set(ContainerOptions("x").__dict__) - {
        "image", "command", "create_command", "registry",
    }  # fmt: skip
    assert {one.dest for one in TABLE if one.field} == fields
    # what the verbs deal with themselves: how an image is had, and what is said
    pulling = {
        "arch", "authfile", "cert_dir", "creds", "disable_content_trust", "os", "retry",
        "retry_delay", "tls_verify", "variant", "seccomp_policy", "quiet",
    }  # fmt: skip
    assert {one.dest for one in create.VERB.options} - fields == pulling
    assert {one.dest for one in run.VERB.options} - fields == pulling | {
        "sig_proxy", "dry_run", "attach", "rmi",
    }  # fmt: skip
    assert {one.dest for one in update.VERB.options} - fields == {"latest"}


def test_names_keys_and_aliases_are_used_once() -> None:
    for found in (
        [name for one in TABLE for name in one.names],
        [one.quadlet for one in TABLE if one.quadlet],
        [name for one in TABLE for name in one.aliases.split()],
        [one.dest for one in TABLE],
    ):
        assert sorted(found) == sorted(set(found))


def test_what_exec_has_as_well_is_the_same_there() -> None:
    """`exec` starts without the table, and so has its options itself."""
    table = {one.dest: one for one in TABLE}
    own = [one for one in exec.VERB.options if one.dest != "latest"]
    for one in own:
        other = table[one.dest]
        assert (one.names, one.kind, one.metavar, one.complete) == (
            other.names, other.kind, other.metavar, other.complete,
        )  # fmt: skip
        if one.dest not in ("detach", "privileged"):
            assert one.help == other.help
    fields = set(ExecOptions().__dict__) - {"command"}
    assert {one.dest for one in own} == fields
