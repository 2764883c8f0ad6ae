"""WebhookSecrets: given ones, and Secrets Manager's with its current and previous version."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from shared.adapters.aws import AwsService
from shared.adapters.secrets import (
    MAX_REREADS,
    REFRESH_SECONDS,
    REREAD_SECONDS,
    FixedWebhookSecrets,
    ManagedWebhookSecrets,
    split_secrets,
)
from shared.domain.errors import Refused
from shared.local.free_ports import HOST, choose_port
from shared.ports import WebhookSecrets
from tests.support.clock import ManualClock

REGION = "us-east-1"


class Managed:
    """A secret of Secrets Manager, not there at first."""

    def __init__(self, service: AwsService) -> None:
        self._service = service
        self._id = f"webhook-{uuid4()}"
        self.clock = ManualClock()
        self.secrets = ManagedWebhookSecrets(service, {"github": self._id}, self.clock)

    def _call(self, operation: str, **parameters: object) -> None:
        token = {"ClientRequestToken": str(uuid4())}
        self._service.call(f"secretsmanager.{operation}", {**token, **parameters}, version="1.1")

    def create(self, value: str) -> "Managed":
        self._call("CreateSecret", Name=self._id, SecretString=value)
        return self

    def rotate(self, value: str) -> None:
        self._call("PutSecretValue", SecretId=self._id, SecretString=value)

    def rotate_to_bytes(self, value: bytes) -> None:
        self._call("PutSecretValue", SecretId=self._id, SecretBinary=b64encode(value).decode())

    def switch_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        nowhere = AwsService("secretsmanager", REGION, f"http://{HOST}:{choose_port('nobody')}")
        monkeypatch.setattr(self._service, "call", nowhere.call)

    def forbid(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(self._service, "call", None)


@pytest.fixture
def managed(aws_endpoint: str) -> Iterator[Managed]:
    service = AwsService("secretsmanager", REGION, aws_endpoint)
    yield Managed(service)
    service.close()


@pytest.fixture(params=["fixed", "managed"])
def hold(request: pytest.FixtureRequest) -> Callable[[str], WebhookSecrets]:
    """Returns secrets that hold a value, as it stands in the environment or in Secrets Manager."""
    if request.param == "fixed":
        return lambda value: FixedWebhookSecrets({"github": split_secrets(value)})
    managed: Managed = request.getfixturevalue("managed")
    return lambda value: managed.create(value).secrets


@pytest.mark.parametrize(
    ("value", "secrets"),
    [
        ("It's a Secret to Everybody", [b"It's a Secret to Everybody"]),
        ("newer\nolder", [b"newer", b"older"]),
        ("newer\r\nolder\r\n", [b"newer", b"older"]),
        ("with, comma and  spaces ", [b"with, comma and  spaces "]),
        ("k\u00e4se", ["k\u00e4se".encode()]),
    ],
)
def test_a_secret_a_line(hold: Callable[[str], WebhookSecrets], value: str, secrets: list[bytes]) -> None:
    assert list(hold(value).read("github") or ()) == secrets


def test_there_is_no_other_source(hold: Callable[[str], WebhookSecrets]) -> None:
    assert hold("secret").read("gitlab") is None


def test_there_is_nothing_newer_than_what_was_just_read(hold: Callable[[str], WebhookSecrets]) -> None:
    secrets = hold("secret")
    secrets.read("github")
    assert secrets.read_again("github") is None


def test_a_rotated_secret_leaves_the_previous_one_valid(managed: Managed) -> None:
    managed.create("first")
    managed.rotate("second")
    assert managed.secrets.read("github") == (b"second", b"first")
    managed.rotate("third")
    managed.clock.advance(REFRESH_SECONDS)
    assert managed.secrets.read("github") == (b"third", b"second")


def test_secrets_are_kept_for_five_minutes(managed: Managed) -> None:
    managed.create("first")
    assert managed.secrets.read("github") == (b"first",)
    managed.rotate("second")
    managed.clock.advance(REFRESH_SECONDS - 1)
    assert managed.secrets.read("github") == (b"first",)
    managed.clock.advance(1)
    assert managed.secrets.read("github") == (b"second", b"first")


def test_a_secret_that_was_just_rotated_in_is_found_by_reading_again(managed: Managed) -> None:
    managed.create("first")
    managed.secrets.read("github")
    managed.rotate("second")
    assert managed.secrets.read_again("github") == (b"second", b"first")
    assert managed.secrets.read("github") == (b"second", b"first")


def test_signatures_that_fit_nothing_have_secrets_read_again_now_and_then_only(managed: Managed) -> None:
    managed.create("first")
    managed.secrets.read("github")
    for _ in range(MAX_REREADS):
        assert managed.secrets.read_again("github") is None
    managed.rotate("second")
    managed.clock.advance(MAX_REREADS * REREAD_SECONDS - 1)
    assert managed.secrets.read_again("github") is None
    managed.clock.advance(1)
    assert managed.secrets.read_again("github") == (b"second", b"first")


def test_a_secret_may_be_binary(managed: Managed) -> None:
    managed.create("first")
    managed.rotate_to_bytes(b"second")
    assert managed.secrets.read("github") == (b"second", b"first")


def test_a_secret_that_is_not_there_asks_the_sender_to_try_again(managed: Managed) -> None:
    with pytest.raises(Refused) as refused:
        managed.secrets.read("github")
    assert (refused.value.status, refused.value.code) == (503, "secrets_unavailable")
    assert "ResourceNotFound" in str(refused.value.cause)
    managed.create("first")
    assert managed.secrets.read("github") == (b"first",)


def test_what_was_valid_stays_so_while_the_manager_is_away(managed: Managed, monkeypatch: pytest.MonkeyPatch) -> None:
    managed.create("first")
    managed.secrets.read("github")
    with monkeypatch.context() as patch:
        managed.switch_off(patch)
        managed.clock.advance(REFRESH_SECONDS)
        assert managed.secrets.read_again("github") is None
        assert managed.secrets.read("github") == (b"first",)
        managed.forbid(patch)
        managed.clock.advance(REREAD_SECONDS - 1)
        assert managed.secrets.read("github") == (b"first",)
    managed.rotate("second")
    managed.clock.advance(1)
    assert managed.secrets.read("github") == (b"second", b"first")


def test_a_manager_that_is_away_from_the_beginning_asks_the_sender_to_try_again(
    managed: Managed, monkeypatch: pytest.MonkeyPatch
) -> None:
    managed.create("first")
    managed.switch_off(monkeypatch)
    with pytest.raises(Refused) as refused:
        managed.secrets.read("github")
    assert refused.value.status == 503
