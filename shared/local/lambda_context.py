"""The context that Lambda hands to a handler beside the event.

https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
"""

import time
import uuid

# AWS has no account of this number; the local SQS endpoint names its queues with it.
ACCOUNT_ID = "000000000000"


class LambdaContext:
    """One invocation of a function on this machine.

    Args:
        function: the function's name, ``route``.
        timeout_seconds: what Lambda would give it; here nobody ends a handler that takes longer.
        region: of the function's ARN.
    """

    function_version = "$LATEST"
    memory_limit_in_mb = 512
    log_stream_name = "local"
    identity = None
    client_context = None
    tenant_id = None

    def __init__(self, function: str, timeout_seconds: float, region: str = "us-east-1") -> None:
        self.function_name = function
        self.aws_request_id = str(uuid.uuid4())
        self.invoked_function_arn = f"arn:aws:lambda:{region}:{ACCOUNT_ID}:function:{function}"
        self.log_group_name = f"/aws/lambda/{function}"
        self._deadline = time.monotonic() + timeout_seconds

    def get_remaining_time_in_millis(self) -> int:
        """Returns the milliseconds until Lambda would end the invocation, at least 0."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))
