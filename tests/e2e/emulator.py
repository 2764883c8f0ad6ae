"""ministack, with what it lacks of the resource types that the stacks use.

A stub stands for each such type: CloudFormation records it, and nothing is behind it. The database that the stacks
create is at ``DATABASE_PORT`` of this machine; the cache's address is ministack's own ``REDIS_HOST``, ``REDIS_PORT``.
All of this touches internals: ``tests/e2e/test_emulator.py`` names the version and what is touched.
"""

import os
import threading
import uuid
from typing import Any

from ministack import app  # type: ignore[import-untyped]  # it ships no types
from ministack.core import iam_actions, lambda_runtime  # type: ignore[import-untyped]
from ministack.services import rds, ssm  # type: ignore[import-untyped]
from ministack.services.cloudformation import provisioners  # type: ignore[import-untyped]

VERSION = "1.5.33"
STUBBED = (
    # ministack has alarms, but none over several metrics, and those of SQS never fire.
    "AWS::CloudWatch::Alarm",
    "AWS::EC2::FlowLog",
    "AWS::EC2::Instance",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::Logs::QueryDefinition",
    "AWS::XRay::SamplingRule",
)
# AWS publishes the name of its newest image for arm64 there; ministack that for Intel alone.
IMAGE_PARAMETER = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-6.1-arm64"
DATABASE = "AWS::RDS::DBInstance"
# AWS has no rights of their own for SQS's batches, and ministack asks for them.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
BATCHES = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}

Properties = dict[str, Any]
Created = tuple[str, Properties]


def extend_resource_types() -> None:
    """Adds the stubs, the image of the NAT instance, and a database that can be reached."""
    handlers = provisioners._RESOURCE_HANDLERS
    stub = {"create": _create_stub, "update": _update_stub, "delete": _delete_stub}
    handlers |= dict.fromkeys(STUBBED, stub)

    ssm._PUBLIC_AMI_PARAMETERS[IMAGE_PARAMETER] = "ami-0123456789abcdef0"

    database = handlers[DATABASE]

    def create_database(logical_id: str, properties: Properties, stack: str) -> Created:
        physical_id, attributes = database["create"](logical_id, properties, stack)
        here = {"Address": "127.0.0.1", "Port": int(os.environ["DATABASE_PORT"])}
        rds._instances[physical_id]["Endpoint"] |= here
        return physical_id, {**attributes, "Endpoint.Address": here["Address"], "Endpoint.Port": str(here["Port"])}

    handlers[DATABASE] = {**database, "create": create_database}


def _create_stub(logical_id: str, _properties: Properties, _stack: str) -> Created:
    physical_id = f"{logical_id.lower()}-{uuid.uuid4().hex[:8]}"
    return physical_id, {"Arn": f"arn:aws:stub:us-east-1:000000000000:{physical_id}"}


def _update_stub(physical_id: str, _before: Properties, _after: Properties, _stack: str) -> Created:
    return physical_id, {"Arn": f"arn:aws:stub:us-east-1:000000000000:{physical_id}"}


def _delete_stub(_physical_id: str, _properties: Properties) -> None:
    pass


def check_rights_as_aws_does() -> None:
    """Has a batch of messages checked by the right to the single one."""
    extract = iam_actions.extract_iam_action

    def extract_iam_action(*request: Any) -> str | None:  # noqa: ANN401 - passed on
        action: str | None = extract(*request)
        return BATCHES.get(action or "", action)

    iam_actions.extract_iam_action = extract_iam_action


def let_invocations_end() -> None:
    """Has an update of a function end its environments once they are idle, as Lambda does."""
    kill_now = lambda_runtime.kill_workers

    def kill_workers(workers: list[lambda_runtime.Worker]) -> None:
        busy = [worker for worker in workers if worker.in_use]
        kill_now([worker for worker in workers if not worker.in_use])
        threading.Thread(target=kill_idle, args=(busy,), daemon=True).start()

    def kill_idle(workers: list[lambda_runtime.Worker]) -> None:
        for worker in workers:
            with worker._lock:
                kill_now([worker])

    lambda_runtime.kill_workers = kill_workers


def main() -> None:
    """Serves until it is stopped."""
    extend_resource_types()
    check_rights_as_aws_does()
    let_invocations_end()
    # With TLS it would also take port 443, where it may.
    app._port_is_bindable = lambda *_: False
    app.main()


if __name__ == "__main__":
    main()
