"""The worlds that command lines start in: what is there before, made with the tool's own commands.

Images are there in every world: the stand-ins (stand_ins.py) under their names at docker.io.
In the working directory are the files of FILES.
"""

from __future__ import annotations

# the first process of a container ignores what would end it: do not wait for that
BOX = "podman run -d --name box --network none --stop-timeout 0 alpine sleep 1000"

WORLDS: dict[str, list[str]] = {
    # nothing but images
    "images": [],
    # a container that runs
    "box": [BOX],
    # one that has ended, with output
    "done": [
        "podman run --name done --network none -e A=b -l color=red alpine "
        "sh -c 'echo out; echo err >&2; echo changed >/etc/changed; exit 3' || test $? = 3"
    ],
    # one that was never started
    "made": ["podman create --name made --network none alpine echo made"],
    # several, of each state
    "some": [
        BOX,
        "podman run -d --name web --network none -l tier=front nginx",
        "podman run --name done --network none alpine sh -c 'echo out; exit 3' || test $? = 3",
        "podman create --name made --network none -l tier=back alpine echo made",
    ],
    # what the examples of the man pages want
    "pages": [
        "podman run -d --name foobar --network none --stop-timeout 0 nginx",
        "podman run -d --name container1 --network none --stop-timeout 0 alpine sleep 1000",
        "podman create --name container2 --network none alpine echo two",
        "podman volume create myvol",
    ],
    # volumes, one in use
    "volumes": [
        "podman volume create data",
        "podman volume create -l color=red red",
        "podman run -d --name box --network none --stop-timeout 0 -v data:/data alpine "
        "sh -c 'echo 1 >/data/one; exec sleep 1000'",
    ],
    # one with a health check and limits to look at
    "healthy": [
        "podman run -d --name box --network slirp4netns --health-cmd 'test -e /etc/passwd' "
        "--health-interval disable --health-retries 2 -e A=b -p 127.0.0.1::80 "
        "-l color=red -v data:/data --restart on-failure:2 --stop-timeout 0 alpine sleep 1000"
    ],
    # an image that nobody else has a name for
    "built": [
        "podman run --name tmp --network none alpine sh -c 'echo new >/new'; "
        "podman commit -q tmp mine:1 && podman tag mine:1 mine:2 && podman rm tmp"
    ],
    # a list of images
    "manifest": [
        "podman manifest create many && podman manifest add many "
        "docker-archive:$IMAGES:docker.io/library/alpine:latest"
    ],
    "secret": ["printf hush | podman secret create word -"],
    "network": ["podman network create net1"],
    "pod": ["podman pod create --name pod1 --share ipc,uts --infra=false"],
}

FILES: dict[str, str] = {
    "env": "# a remark\nONE=1\nTWO=two words\nHOME\n",
    "labels": "color=blue\nshape=round\n",
    "page/index.html": "<h1>page</h1>\n",
    "conf/app.conf": "key = value\n",
    "script.py": "print('hi')\n",
    "app/Dockerfile": 'FROM alpine\nCOPY file /file\nCMD ["cat", "/file"]\n',
    "app/file": "file\n",
    "app/Other": "FROM alpine AS one\nRUN echo one >/one\nFROM one AS two\nARG A=a\nENV A=$A\n"
                 "RUN echo $A >/two\n",
    "pod.yaml": "apiVersion: v1\nkind: Pod\nmetadata:\n  name: kubepod\nspec:\n  containers:\n"
                "  - name: main\n    image: docker.io/library/alpine:latest\n"
                "    command: [sleep, '1000']\n",
    "hello.txt": "hello\n",
    "password": "secret\n",
}  # fmt: skip
