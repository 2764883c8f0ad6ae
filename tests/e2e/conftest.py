"""One deployment for all tests: the release before is deployed, then updated to this tree's code under load."""

from collections.abc import Iterator

import pytest

from tests.acceptance.local_stack import WALKING_PATH
from tests.e2e.assets import package_release
from tests.e2e.cloud import Cloud
from tests.e2e.deployment import Deployment
from tests.e2e.load import UpdateReport, update_under_load


@pytest.fixture(scope="session")
def released(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The release before, deployed to an AWS of its own."""
    terminal = request.config.get_terminal_writer()
    terminal.line("\ndeploying to ministack, then updating under load: about a minute")
    with Cloud(tmp_path_factory.mktemp("cloud")) as cloud, Deployment(cloud) as deployment:
        deployment.bootstrap()
        deployment.deploy(deployment.synthesize("release", package_release))
        deployment.fill_in()
        deployment.open_api()
        yield deployment
        logs = deployment.read_logs()
        assert [name for name, secret in deployment.list_secrets().items() if secret in logs] == []


@pytest.fixture(scope="session")
def update(released: Deployment) -> UpdateReport:
    """What became of deliveries while the release before was updated to this tree's code."""
    return update_under_load(released)


@pytest.fixture(scope="session")
def deployment(released: Deployment, update: UpdateReport) -> Deployment:
    """This tree's code, deployed, with workflows that do not wait for more to come."""
    assert update.documents
    released.client.put("/api/v1/workflows", content=WALKING_PATH.read_bytes()).raise_for_status()
    # An environment knows the workflows for half a minute.
    released.restart("route")
    return released
