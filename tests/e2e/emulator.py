"""ministack, with what it lacks of the resource types that the stacks use.

A stub stands for each such type: CloudFormation records it, and nothing is behind it. The database that the stacks
create is at ``DATABASE_PORT`` of this machine; the cache's address is ministack's own ``REDIS_HOST``, ``REDIS_PORT``.
All of this touches internals: ``tests/e2e/test_emulator.py`` names the version and what is touched.
"""

import os
import uuid
from typing import Any

from ministack import app
from ministack.services import rds, ssm
from ministack.services.cloudformation import provisioners

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


def main() -> None:
    """Serves until it is stopped."""
    extend_resource_types()
    # With TLS it would also take port 443, where it may.
    app._port_is_bindable = lambda *_: False
    app.main()


if __name__ == "__main__":
    main()
