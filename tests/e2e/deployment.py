"""The product as the CDK CLI deploys it to the test's own AWS, driven through its API's URL."""

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import redis

from shared.bootstrap import migrate
from shared.local.webhook import build_headers
from tests.acceptance.local_stack import PATH, LocalStack, wait_until
from tests.e2e.cloud import ROOT, Cloud

PREFIX = "orchestrator-dev"
APP, DATA = f"{PREFIX}-app", f"{PREFIX}-data"
STACKS = (f"{PREFIX}-network", DATA, APP, f"{PREFIX}-observability")
CLI = ROOT / "node_modules" / ".bin" / "cdk"
CLI_SECONDS = 240
WEBHOOK_SECRET, API_SECRET, CREDENTIALS = (f"{name}SecretArnOutput" for name in ("Webhook", "Api", "Credentials"))
# What an operator fills in; each would be found in a log. The waits are those of a sandbox.
FILLED_IN = {
    "GITHUB_TOKEN": "canary-github-token-41c8",
    "CODEGEN_TOKEN": "canary-codegen-token-7be2",
    "CODEGEN_ORG_ID": "1",
    "AGENT_POLL_SECONDS": "1",
    "RETRY_BASE_SECONDS": "1",
}


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

    def synthesize(self, name: str, package: Callable[[Path], None]) -> Path:
        """Writes templates and assets of the stage ``dev``; returns their folder.

        Args:
            name: of the folder.
            package: writes the functions into a folder.
        """
        target, assets = self.cloud.directory / name, self.cloud.directory / f"{name}.assets"
        package(assets)
        given = {
            "stage": "dev",
            "github_api_url": self.address("github"),
            "codegen_api_url": self.address("codegen"),
        }
        contexts = [word for key, value in given.items() for word in ("--context", f"{key}={value}")]
        app = f"{sys.executable} -m tests.e2e.app {assets}"
        self._run_cdk("synth", "--quiet", "--app", app, "--output", str(target), *contexts)
        return target

    def bootstrap(self) -> None:
        """Prepares the account as ``make deploy`` does."""
        self._run_cdk("bootstrap", "aws://000000000000/us-east-1", "--app", "", cwd=self.cloud.directory)

    def deploy(self, templates: Path) -> None:
        """Deploys all stacks, or brings them up to date."""
        outputs = self.cloud.directory / "outputs.json"
        self._run_cdk(
            *("deploy", "--all", "--app", str(templates), "--require-approval", "never"),
            *("--outputs-file", str(outputs), "--progress", "events"),
        )
        self.outputs |= json.loads(outputs.read_text())

    def destroy(self, templates: Path) -> None:
        """Destroys all stacks."""
        self._run_cdk("destroy", "--all", "--force", "--app", str(templates))

    def _run_cdk(self, *arguments: str, cwd: Path = ROOT) -> None:
        environment = {
            **self.cloud.environment,
            "CDK_VALIDATION": "false",
            "CDK_DISABLE_VERSION_CHECK": "1",
            "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
            "PYTHONPATH": str(ROOT),
        }
        ended = subprocess.run(
            [str(CLI), "--no-notices", *arguments],
            cwd=cwd,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=CLI_SECONDS,
        )
        if ended.returncode:
            raise CdkFailed(f"cdk {arguments[0]}:\n{ended.stdout}\n{self.cloud.read_log('aws')[-4_000:]}")

    def open_api(self) -> None:
        """Finds the API's address in the outputs, and in the secrets what its callers need."""
        api_id = self.outputs[APP]["ApiUrl"].partition("://")[2].partition(".")[0]
        # A name of its own for each API is more than 127.0.0.1 can have.
        self.url = f"{self.cloud.url}/_aws/execute-api/{api_id}"
        self.client.close()
        self.client = httpx.Client(base_url=self.url, trust_env=False, timeout=30.0, verify=self.cloud.tls)
        self.client.headers["authorization"] = f"Bearer {json.loads(self.read_secret(API_SECRET))['API_TOKEN']}"
        self.secret = self.read_secret(WEBHOOK_SECRET)

    def fill_in(self) -> None:
        """Does by hand what is the operator's to do, and what ElastiCache does: takes the password it was given."""
        self.write_secret(CREDENTIALS, json.dumps(json.loads(self.read_secret(CREDENTIALS)) | FILLED_IN))
        secret_id = self.find_resource(DATA, "AWS::SecretsManager::Secret", "CacheSecret")
        with contextlib.closing(self.connect_aws("secretsmanager")) as manager:
            password = manager.get_secret_value(SecretId=secret_id)["SecretString"]
        with redis.Redis.from_url(self.address("valkey")) as valkey:
            valkey.config_set("requirepass", password)

    def migrate(self) -> None:
        """Brings the schema up to what this tree's code needs, as the functions' own user, whose it is."""
        migrate({"DATABASE_URL": self.address("postgres").replace("postgres@", "orchestrator@")})()

    def read_secret(self, output: str) -> str:
        """Returns a secret's current value, by the name of the output that has its ARN."""
        with contextlib.closing(self.connect_aws("secretsmanager")) as manager:
            value: str = manager.get_secret_value(SecretId=self.outputs[DATA][output])["SecretString"]
        return value

    def write_secret(self, output: str, value: str) -> None:
        """Puts a new version of a secret."""
        with contextlib.closing(self.connect_aws("secretsmanager")) as manager:
            manager.put_secret_value(SecretId=self.outputs[DATA][output], SecretString=value)

    def post_traced(self, event: str, body: bytes, trace_id: str) -> str:
        """Sends a webhook with the trace that API Gateway begins where the sender has none; returns its delivery id."""
        headers = build_headers(event, body, self.secret) | {"x-amzn-trace-id": f"Root={trace_id};Sampled=1"}
        answer = self.client.post(PATH, content=body, headers=headers)
        assert answer.status_code == 202, answer.text
        accepted: str = answer.json()["delivery_id"]
        return accepted

    def count_comments(self, number: str) -> int:
        """Returns how many comments GitHub has taken for a pull request."""
        taken = [request["path"] for request in self.list_received("github", method="POST") if request["applied"]]
        return sum(path.endswith(f"/issues/{number}/comments") for path in taken)

    def read_lines(self, function: str) -> list[dict[str, Any]]:
        """Returns what a function has logged in JSON, in no order between its environments."""
        with contextlib.closing(self.connect_aws("lambda")) as functions:
            group = functions.get_function_configuration(FunctionName=self.find_function(function))["LoggingConfig"]
        with contextlib.closing(self.connect_aws("logs")) as logs:
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group["LogGroup"])
            messages = [event["message"] for page in pages for event in page["events"]]
        return [json.loads(line) for line in "\n".join(messages).splitlines() if line.startswith("{")]

    def await_line(self, function: str, **fields: object) -> dict[str, Any]:
        """Returns the first line of a function that has these fields, once there is one."""
        found: list[dict[str, Any]] = []

        def is_there() -> bool:
            found[:] = [line for line in self.read_lines(function) if fields.items() <= line.items()]
            return bool(found)

        wait_until(is_there, f"{function} logs {fields}", seconds=60)
        return found[0]

    def read_code_hash(self, function: str) -> str:
        """Returns the hash of the code that a function runs."""
        with contextlib.closing(self.connect_aws("lambda")) as functions:
            found: str = functions.get_function_configuration(FunctionName=self.find_function(function))["CodeSha256"]
        return found

    @contextlib.contextmanager
    def without_right(self, function: str, action: str) -> Iterator[None]:
        """Takes a right away from a function's role while the block lasts."""
        role = self.find_resource(APP, "AWS::IAM::Role", f"Functions{function.capitalize()}Role")
        with contextlib.closing(self.connect_aws("iam")) as iam:
            [name] = iam.list_role_policies(RoleName=role)["PolicyNames"]
            before = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            kept = [statement for statement in before["Statement"] if statement["Action"] != action]
            assert len(kept) == len(before["Statement"]) - 1, before
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(before | {"Statement": kept}))
            try:
                yield
            finally:
                iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(before))

    def restart(self, function: str) -> None:
        """Starts a function's environments anew, as docs/operations.md tells how to."""
        name = self.find_function(function)
        with contextlib.closing(self.connect_aws("lambda")) as functions:
            timeout = functions.get_function_configuration(FunctionName=name)["Timeout"]
            # Any change does on AWS; the emulator goes by what an environment is started with.
            functions.update_function_configuration(FunctionName=name, Timeout=timeout)

    @contextlib.contextmanager
    def paused(self, function: str) -> Iterator[None]:
        """Holds back what the queues have for a function while the block lasts."""
        self._set_event_sources(function, is_enabled=False)
        try:
            yield
        finally:
            self._set_event_sources(function, is_enabled=True)

    def _set_event_sources(self, function: str, *, is_enabled: bool) -> None:
        with contextlib.closing(self.connect_aws("lambda")) as functions:
            mappings = functions.list_event_source_mappings(FunctionName=self.find_function(function))
            for mapping in mappings["EventSourceMappings"]:
                functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=is_enabled)

    @contextlib.contextmanager
    def one_receipt(self) -> Iterator[None]:
        """Lets a delivery be received once rather than 20 times, which takes an hour, while the block lasts."""
        url = self.find_queue("Deliveries")
        with contextlib.closing(self.connect_aws("sqs")) as sqs:
            name = "RedrivePolicy"
            before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name]
            once = json.dumps(json.loads(before) | {"maxReceiveCount": 1})
            sqs.set_queue_attributes(QueueUrl=url, Attributes={name: once})
            try:
                yield
            finally:
                sqs.set_queue_attributes(QueueUrl=url, Attributes={name: before})

    def find_queue(self, prefix: str) -> str:
        """Returns a queue's URL."""
        return self.find_resource(APP, "AWS::SQS::Queue", prefix)

    def find_function(self, function: str) -> str:
        """Returns a function's name in this AWS."""
        return self.find_resource(APP, "AWS::Lambda::Function", f"Functions{function.capitalize()}")

    def find_resource(self, stack: str, kind: str, prefix: str) -> str:
        """Returns the physical id of the only resource of its kind whose logical id is ``prefix`` and CDK's hash."""
        with contextlib.closing(self.connect_aws("cloudformation")) as formation:
            resources = formation.describe_stack_resources(StackName=stack)["StackResources"]
        [found] = [
            resource["PhysicalResourceId"]
            for resource in resources
            if resource["ResourceType"] == kind and re.fullmatch(prefix + "[0-9A-F]{8}", resource["LogicalResourceId"])
        ]
        return str(found)

    def list_secrets(self) -> Mapping[str, str]:
        """Returns all that must be found in no log, by what it is."""
        return {
            "webhook secret": self.secret,
            "API token": self.client.headers["authorization"].removeprefix("Bearer "),
            **{name: value for name, value in FILLED_IN.items() if name.endswith("TOKEN")},
        }

    def read_logs(self) -> str:
        """Returns everything that the emulator and its functions have logged."""
        return self.cloud.read_log("aws")

    def address(self, name: str) -> str:
        """Returns the address of a server behind this AWS."""
        return self.cloud.addresses[name]

    def connect_aws(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        """Returns a client of this AWS with all rights, to be closed."""
        return self.cloud.connect(service)
