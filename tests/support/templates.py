"""The templates of every stage, synthesised once with assets that stand in for the packaged ones."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

# Set before CDK starts its Node: tests do without the validator, which is most of a synthesis, and the banner.
os.environ.setdefault("CDK_VALIDATION", "false")
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")

from aws_cdk import App

from infra.app import add_stage
from infra.packaging import CODE, INGEST, LAYERS, Asset
from infra.stages import STAGES, BackupCopy, Domain, Edge, Stage

ROOT = Path(__file__).parents[2]

# Every option at once: no resource is left unseen.
FULL = dataclasses.replace(
    STAGES["prod"],
    name="full",
    database_proxy=True,
    domain=Domain(name="hooks.example.com", zone_id="Z0123456789", zone_name="example.com"),
    edge=Edge(name="edge.example.com", certificate_arn="arn:aws:acm:us-east-1:111122223333:certificate/0"),
    backup_copy=BackupCopy(region="eu-central-1", kms_key_arn="arn:aws:kms:eu-central-1:111122223333:key/0"),
    alarm_email="ops@example.com",
)
ALL_STAGES = {**STAGES, FULL.name: FULL}


class Resource(NamedTuple):
    """A resource of a template."""

    stack: str
    id: str
    type: str
    properties: dict[str, Any]
    document: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Deployment:
    """The templates of one stage, by what they hold (``app``, ``data`` ...)."""

    stage: Stage
    templates: dict[str, dict[str, Any]]

    def list_resources(self, kind: str = "", stack: str = "") -> list[Resource]:
        """Returns the resources of type ``kind``, or all of them."""
        return [
            Resource(name, logical_id, document["Type"], document.get("Properties", {}), document)
            for name, template in self.templates.items()
            for logical_id, document in template["Resources"].items()
            if kind in {"", document["Type"]} and stack in {"", name}
        ]

    def follow(self, value: object, stack: str) -> tuple[str, str]:
        """Returns stack and logical id of the resource that a reference names, through the export if need be."""
        if isinstance(value, dict) and "Fn::ImportValue" in value:
            name, _, export = value["Fn::ImportValue"].partition(":")
            stack = name.rpartition("-")[2]
            outputs = self.templates[stack]["Outputs"].values()
            value = next(each["Value"] for each in outputs if each.get("Export", {}).get("Name") == f"{name}:{export}")
        if isinstance(value, dict) and "Ref" in value:
            return stack, value["Ref"]
        if isinstance(value, dict) and "Fn::GetAtt" in value:
            return stack, value["Fn::GetAtt"][0]
        raise AssertionError(f"not a reference: {value}")


def make_assets(directory: Path) -> dict[str, Asset]:
    """Returns assets of the right names with nothing in them."""
    assets = {}
    for name in (CODE, INGEST, *LAYERS):
        folder = directory / name
        folder.mkdir(parents=True)
        (folder / "stand-in").write_text(name)
        assets[name] = Asset(path=str(folder), hash=name, size_bytes=0, has_bytecode=False)
    return assets


def make_app(directory: Path, stages: list[Stage]) -> App:
    """Returns an app with the stacks of ``stages``, under the context of ``cdk.json``."""
    context = json.loads((ROOT / "cdk.json").read_text("utf-8"))["context"]
    app = App(context=context, outdir=str(directory / "cdk.out"))
    assets = make_assets(directory / "assets")
    for stage in stages:
        add_stage(app, stage, assets)
    return app


def read_deployments(directory: Path, stages: list[Stage]) -> dict[str, Deployment]:
    """Returns the synthesised templates in ``directory`` by stage."""
    return {
        stage.name: Deployment(
            stage,
            {
                path.name.partition(".")[0].rpartition("-")[2]: json.loads(path.read_text("utf-8"))
                for path in sorted((directory / "cdk.out").glob(f"orchestrator-{stage.name}-*.template.json"))
            },
        )
        for stage in stages
    }
