from shared.local.__main__ import SECRET_NAME
from tests.acceptance.local_stack import LocalStack, wait_until

GOOD = b'{"action":"created","repository":{"full_name":"octo-org/hello"}}'


def rotate(stack: LocalStack, secret: str) -> None:
    """Puts a new secret where the stack reads its own, and waits until it has learned it."""
    manager = stack.connect_aws("secretsmanager")
    manager.put_secret_value(SecretId=SECRET_NAME, SecretString=secret)
    manager.close()
    wait_until(lambda: stack.post("star", GOOD, secret=secret).status_code == 202, "the new secret is known")
    stack.secret = secret


def test_the_secret_before_stays_valid_for_one_rotation(stack: LocalStack) -> None:
    first, second, third = stack.secret, "canary-second-secret-08e3", "canary-third-secret-6f75"
    front = stack.endpoints["front"]["pid"]

    rotate(stack, second)
    for secret in (first, second):
        assert stack.follow(stack.send("star", GOOD, secret=secret))["status"] == "succeeded"

    rotate(stack, third)
    for secret in (second, third):
        assert stack.follow(stack.send("star", GOOD, secret=secret))["status"] == "succeeded"
    assert stack.post("star", GOOD, secret=first).status_code == 401

    rotate(stack, first)
    assert stack.endpoints["front"]["pid"] == front
    assert [secret for secret in (first, second, third) if secret in stack.read_logs()] == []
