"""docker-compose.local.yml: a valid compose file, and what it sets makes the stack work, tried without containers."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from shared.local.gauges import PREFIX
from shared.local.servers import build_aws
from tests.support.compose import FILE, OF_THE_MACHINE, SERVICES, serve_compose
from tests.support.local_up import LocalUp, sample, wait_until

ROOT = Path(__file__).parents[2]
ADDRESSES = {"BIND_HOST", "MINISTACK_HOST", "GATEWAY_PORT", "STATE_DIR", "S3_DATA_DIR", "TMPDIR"}


def check_schema(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_follows_the_compose_specification() -> None:
    checked = check_schema(FILE)
    assert checked.returncode == 0, checked.stdout


def test_a_fault_in_it_would_be_found(tmp_path: Path) -> None:
    path = tmp_path / "docker-compose.yml"
    path.write_text(FILE.read_text("utf-8").replace("healthcheck:", "healthchek:", 1))
    checked = check_schema(path)
    assert checked.returncode == 1
    assert "healthchek" in checked.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_and_ports_are_of_this_machine_alone(name: str) -> None:
    service = SERVICES[name]
    if "build" in service:
        assert re.search(r"^FROM python:3\.13-", service["build"]["dockerfile_inline"], re.MULTILINE)
    else:
        assert re.fullmatch(r"[\w/.-]+:v?\d+(\.\d+)+", service["image"])
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_what_it_mounts_and_copies_is_there() -> None:
    mounted = [
        volume.partition(":")[0] for each in SERVICES.values() for volume in each.get("volumes", []) if volume[0] == "."
    ]
    lines = SERVICES["app"]["build"]["dockerfile_inline"].splitlines()
    copied = [name for line in lines if line.startswith("COPY") for name in line.split()[1:-1]]
    assert len(mounted) == 6
    assert copied == ["pyproject.toml", "requirements-dev.txt", "shared", "functions"]
    assert all((ROOT / name).exists() for name in (*mounted, *copied))
    makefile = (ROOT / "Makefile").read_text("utf-8")
    [uv] = re.findall(r"uv==[\d.]+", SERVICES["app"]["build"]["dockerfile_inline"])
    assert uv in makefile


def test_the_profile_is_what_only_observes() -> None:
    observing = {name for name, service in SERVICES.items() if service.get("profiles") == ["observability"]}
    assert observing == {"prometheus", "grafana", "jaeger"}
    assert all("profiles" not in service for name, service in SERVICES.items() if name not in observing)


def test_prometheus_scrapes_what_the_app_serves() -> None:
    [entry] = YAML(typ="safe", pure=True).load(ROOT / "docs" / "monitoring" / "targets.compose.yml")
    assert entry["targets"] == [f"app:{SERVICES['app']['environment']['METRICS_PORT']}"]


def test_every_setting_of_the_app_is_described() -> None:
    described = set(re.findall(r"^([A-Z_0-9]+)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))
    own = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert set(SERVICES["app"]["environment"]) - own <= described


def test_ministack_is_set_as_on_a_laptop(tmp_path: Path) -> None:
    laptop = build_aws(tmp_path, 4566, {}).env
    container = {name: str(value) for name, value in SERVICES["aws"]["environment"].items()}
    assert set(container) == set(laptop) - OF_THE_MACHINE
    assert {name: container[name] for name in container if name not in ADDRESSES} == {
        name: laptop[name] for name in container if name not in ADDRESSES
    }


def test_the_app_works_with_servers_of_the_file_s_settings(tmp_path: Path) -> None:
    given = {name: str(value) for name, value in SERVICES["app"]["environment"].items()}
    with serve_compose(tmp_path / "servers") as places:
        settings = {name: places.replace(given[name]) for name in ("DATABASE_URL", "REDIS_URL", "AWS_ENDPOINT_URL")}
        keys = {name: given[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        app = LocalUp(tmp_path / "app", **settings, **keys)
        with app.start():
            app.send("pull_request")
            done = sample("runs_succeeded_total", environment="local", service="execute")
            wait_until(lambda: app.scrape().get(done, 0) >= 1)
            samples, endpoints = app.scrape(), app.endpoints
            told = app.out.read_text()

    assert [endpoints[name]["pid"] for name in ("postgres", "valkey", "aws")] == [None] * 3
    assert {value for (name, _), value in samples.items() if name == f"{PREFIX}_up"} == {1}
    assert "orchestrator:orchestrator@" not in told + str(endpoints)
