"""The templates, synthesised once for all tests of the infrastructure."""

from pathlib import Path

import pytest
from aws_cdk import App

from tests.support.templates import ALL_STAGES, Deployment, make_app, read_deployments


@pytest.fixture(scope="session")
def synthesis(tmp_path_factory: pytest.TempPathFactory) -> tuple[App, Path]:
    """The app of all stages, synthesised, and where."""
    directory = tmp_path_factory.mktemp("synthesis")
    app = make_app(directory, list(ALL_STAGES.values()))
    app.synth()
    return app, directory


@pytest.fixture(scope="session")
def deployments(synthesis: tuple[App, Path]) -> dict[str, Deployment]:
    """Every stage's templates."""
    return read_deployments(synthesis[1], list(ALL_STAGES.values()))


@pytest.fixture(params=list(ALL_STAGES))
def deployment(request: pytest.FixtureRequest, deployments: dict[str, Deployment]) -> Deployment:
    """One stage's templates after the other."""
    return deployments[request.param]
