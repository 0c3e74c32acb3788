"""A host of the test's own, on which a way in is tried.

Scope: its network and its names.  The ways are in ways.py.
"""

from __future__ import annotations

import os
import shlex

from ways_in.stage import Stage, Told

# A host of the test's own: a network with the addresses of a gateway and of a cloud, where a server
# listens everywhere whose program has no name any more.
HOST = """
ip link set lo up; ip link add veth0 type veth peer name veth1
ip link set veth0 up; ip link set veth1 up
for address in 169.254.169.254 10.0.2.2; do ip address add $address/32 dev veth1; done
cp {attack} {base}/server; {base}/server serve {port} {token} >{base}/ready &
until [ -s {base}/ready ]; do sleep 0.05; done
rm {base}/server
hosts=$(for kind in net uts; do echo $kind:$(stat -Lc %i /proc/self/ns/$kind),; done | tr -d '\\n')
server=$!
{look}
"$@" hosts=$hosts; status=$?
kill $server; exit $status
"""


# until it has seen all that there is
LOOK = """
{attack} lurk {results}/lurk {told} & tries=0
until [ "$(wc -l <{results}/lurk)" -ge 8 ] || [ $((tries += 1)) -gt 200 ]; do sleep 0.05; done
kill $!
"""


def own_host(stage: Stage, *words: str, look: bool = False) -> Told:
    """The words, as root of a host that the test made, and one that names its namespaces."""
    looking = LOOK.format(attack=stage.attack_program, results=stage.results,
                          told=shlex.join(stage.told()))  # fmt: skip
    script = HOST.format(attack=stage.attack_program, base=stage.base, port=8080,
                         token=stage.token, look=looking if look else "")  # fmt: skip
    begin = "unshare --user --map-root-user --map-auto --net --uts --mount sh -c".split()
    return stage.lead([*begin, script, "sh", *words])


def root_of_a_host(stage: Stage) -> Told:
    """No container, and root's rights over a network, a name and what belongs to uid 0."""
    stage.root = os.getuid()
    return own_host(stage, *stage.attack(
        stage.attack_program, results=str(stage.results), readonly=str(stage.readonly), caps=0,
        port=8080), look=True)  # fmt: skip
