"""The product as the CDK CLI deploys it to the test's own AWS, driven through its API's URL."""

import contextlib
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from tests.acceptance.local_stack import LocalStack
from tests.e2e.assets import package_code
from tests.e2e.cloud import ROOT, Cloud

PREFIX = "orchestrator-dev"
APP, DATA = f"{PREFIX}-app", f"{PREFIX}-data"
CLI = ROOT / "node_modules" / ".bin" / "cdk"
CLI_SECONDS = 180


class CdkFailed(AssertionError):
    """The CDK CLI ended with an error; the message is what it wrote."""


class Deployment(LocalStack):
    """The deployed stacks, which answer as the local stack does.

    Args:
        cloud: where they are deployed to.
    """

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud.directory / "local")
        self.cloud = cloud
        self.outputs: dict[str, dict[str, str]] = {}

    def synthesize(self, name: str, *, overlay: Path | None = None, **options: str) -> Path:
        """Writes templates and assets of the stage ``dev``; returns their folder.

        Args:
            name: of the folder.
            overlay: files that are laid over the code.
            options: of the stage, as ``cdk.json`` would take them.
        """
        target = self.cloud.directory / name
        given = {
            "stage": "dev",
            "github_api_url": self.address("github"),
            "codegen_api_url": self.address("codegen"),
            **options,
        }
        assets = target.with_suffix(".assets")
        package_code(assets, overlay)
        contexts = [word for key, value in given.items() for word in ("--context", f"{key}={value}")]
        app = f"{sys.executable} -m tests.e2e.app {assets}"
        self.run_cdk("synth", "--quiet", "--app", app, "--output", str(target), *contexts)
        return target

    def bootstrap(self) -> None:
        """Prepares the account as ``make deploy`` does."""
        self.run_cdk("bootstrap", "aws://000000000000/us-east-1", "--app", "", cwd=self.cloud.directory)

    def deploy(self, templates: Path, *stacks: str) -> None:
        """Deploys all stacks, or only those named."""
        outputs = self.cloud.directory / "outputs.json"
        which = ["--exclusively", *stacks] if stacks else ["--all"]
        self.run_cdk(
            *("deploy", *which, "--app", str(templates)),
            *("--require-approval", "never", "--outputs-file", str(outputs), "--progress", "events"),
        )
        self.outputs |= json.loads(outputs.read_text())

    def destroy(self, templates: Path) -> None:
        """Destroys all stacks."""
        self.run_cdk("destroy", "--all", "--force", "--app", str(templates))

    def run_cdk(self, *arguments: str, cwd: Path = ROOT, **settings: str) -> str:
        """Runs the pinned CLI. Raises CdkFailed."""
        environment = {
            **self.cloud.environment,
            "CDK_VALIDATION": "false",
            "CDK_DISABLE_VERSION_CHECK": "1",
            "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
            "PYTHONPATH": str(ROOT),
            **settings,
        }
        started = time.monotonic()
        ended = subprocess.run(
            [str(CLI), "--no-notices", *[word for word in arguments]],
            cwd=cwd,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=CLI_SECONDS,
        )
        print(arguments[:2], time.monotonic() - started)
        if ended.returncode:
            raise CdkFailed(ended.stdout + self.cloud.read_log("aws")[-4000:])
        return ended.stdout

    def open_api(self) -> None:
        """Finds the API's address in the outputs and the operator's token in its secret."""
        api_id = self.outputs[APP]["ApiUrl"].partition("://")[2].partition(".")[0]
        # A name of its own for each API is more than 127.0.0.1 can have.
        self.url = f"{self.cloud.url}/_aws/execute-api/{api_id}"
        self.client.close()
        self.client = httpx.Client(base_url=self.url, trust_env=False, timeout=30.0, verify=self.cloud.tls)
        token = json.loads(self.read_secret("ApiSecretArnOutput"))["API_TOKEN"]
        self.client.headers["authorization"] = f"Bearer {token}"
        self.secret = self.read_secret("WebhookSecretArnOutput")

    def read_secret(self, output: str) -> str:
        """Returns a secret's current value, by the name of the output that has its ARN."""
        with contextlib.closing(self.cloud.connect("secretsmanager")) as manager:
            value: str = manager.get_secret_value(SecretId=self.outputs[DATA][output])["SecretString"]
        return value

    def write_secret(self, output: str, value: str) -> None:
        """Puts a new version of a secret."""
        with contextlib.closing(self.cloud.connect("secretsmanager")) as manager:
            manager.put_secret_value(SecretId=self.outputs[DATA][output], SecretString=value)

    def read_lines(self, function: str) -> list[dict[str, Any]]:
        """Returns what a function has logged in JSON, in no order between its environments."""
        with contextlib.closing(self.cloud.connect("lambda")) as functions:
            group = functions.get_function_configuration(FunctionName=self.find_function(function))["LoggingConfig"]
        with contextlib.closing(self.cloud.connect("logs")) as logs:
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group["LogGroup"])
            messages = [event["message"] for page in pages for event in page["events"]]
        return [json.loads(line) for line in "\n".join(messages).splitlines() if line.startswith("{")]

    def find_function(self, function: str) -> str:
        """Returns a function's name in this AWS."""
        return self.find_resource(APP, "AWS::Lambda::Function", f"Functions{function.capitalize()}")

    def find_resource(self, stack: str, kind: str, prefix: str) -> str:
        """Returns the physical id of the only resource of its kind whose logical id begins with ``prefix``."""
        with contextlib.closing(self.cloud.connect("cloudformation")) as formation:
            resources = formation.describe_stack_resources(StackName=stack)["StackResources"]
        [found] = [
            resource["PhysicalResourceId"]
            for resource in resources
            if resource["ResourceType"] == kind and re.fullmatch(prefix + "[0-9A-F]{8}", resource["LogicalResourceId"])
        ]
        return str(found)

    def address(self, name: str) -> str:
        """Returns the address of a server behind this AWS."""
        return self.cloud.addresses[name]

    def connect_aws(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        """Returns a client of this AWS with all rights, to be closed."""
        return self.cloud.connect(service)
