"""The CDK app: every stage, or the one that ``-c stage=dev`` names.

Stacks name neither account nor region: the same templates deploy to any. Nothing is looked up, so that no account
is needed to write them. https://docs.aws.amazon.com/cdk/v2/guide/environments.html
"""

import dataclasses

from aws_cdk import App, Stack, Tags, Validations
from cdk_nag import AwsSolutionsChecks
from constructs import Construct

from infra.application import ApplicationStack
from infra.data import DataStack
from infra.edge import EdgeStack
from infra.network import NetworkStack
from infra.observability import ObservabilityStack
from infra.packaging import Asset, read_assets
from infra.stages import STAGES, Stage

# What `-c name=value` may set of a stage.
_OPTIONS = ("alarm_email", "log_level", "github_api_url", "codegen_api_url")


def add_stage(app: Construct, stage: Stage, assets: dict[str, Asset]) -> list[Stack]:
    """Adds the stacks of ``stage`` to ``app``."""
    prefix = f"orchestrator-{stage.name}"
    network = NetworkStack(app, f"{prefix}-network", stage=stage)
    data = DataStack(app, f"{prefix}-data", stage=stage, network=network)
    application = ApplicationStack(app, f"{prefix}-app", stage=stage, network=network, data=data, assets=assets)
    observability = ObservabilityStack(app, f"{prefix}-observability", stage=stage, application=application, data=data)
    stacks: list[Stack] = [network, data, application, observability]
    if stage.edge is not None and stage.domain is not None:
        stacks.append(EdgeStack(app, f"{prefix}-edge", stage=stage, edge=stage.edge, domain=stage.domain))
    for stack in stacks:
        Tags.of(stack).add("service", "webhook-orchestrator")
        Tags.of(stack).add("environment", stage.name)
    return stacks


def choose_stages(app: App) -> list[Stage]:
    """Returns the stages that the context asks for, with its options. Raises ValueError for an unknown one."""
    name = app.node.try_get_context("stage")
    if name is not None and name not in STAGES:
        raise ValueError(f"there is no stage {name}: choose one of {', '.join(STAGES)}")
    chosen = [STAGES[name]] if name else list(STAGES.values())
    options = {key: value for key in _OPTIONS if (value := app.node.try_get_context(key))}
    if app.node.try_get_context("reserve_concurrency") == "false":
        options["reserve_concurrency"] = False
    return [dataclasses.replace(stage, **options) for stage in chosen]


def main() -> None:
    """Writes the templates to where the CDK CLI wants them."""
    app = App()
    assets = read_assets()
    for stage in choose_stages(app):
        add_stage(app, stage, assets)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()


if __name__ == "__main__":
    main()
