"""http.request: which hosts and addresses may be asked, and with what."""

from typing import Any

import httpx
import pytest

from shared.adapters.http_request import HttpRequest, is_public
from shared.domain.effect import Effect
from shared.domain.errors import Permanent

DOCUMENT = {"subject": {"key": "acme/widgets#7"}}
HOSTS = ("hooks.example", "ci.example:8443", "xn--bcher-kva.example")


def build(*addresses: str) -> HttpRequest:
    def fail(request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"{request.url} was asked")

    client = httpx.Client(transport=httpx.MockTransport(fail))
    return HttpRequest(client, HOSTS, lambda _host, _port: list(addresses))


def plan(**arguments: object) -> dict[str, Any]:
    return build().plan(arguments, DOCUMENT)


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_addresses_on_the_internet(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - nothing is bound
        *("127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1"),
        *("169.254.169.254", "169.254.170.2", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "192.0.2.1"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1"),
        *("::ffff:169.254.169.254", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1"),
        *("2002:a9fe:a9fe::1", "2001:0:a9fe::1", "2130706433", "0x7f.1", "localhost", ""),
    ],
)
def test_addresses_that_are_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        (
            "https://other.example/",
            "may not ask other.example: HTTP_ALLOWED_HOSTS allows ci.example:8443, hooks.example",
        ),
        ("https://hooks.example:8443/", "may not ask hooks.example:8443"),
        ("https://ci.example/", "may not ask ci.example"),
        ("https://hooks.example.evil.example/", "may not ask"),
        ("https://169.254.169.254/latest/meta-data/", "may not ask"),
        ("https://[::ffff:169.254.169.254]/", "may not ask"),
        ("http://hooks.example/", "wants an https:// address"),
        ("https://hooks.example@other.example/", "wants an https:// address without a user's name"),
        ("https://me:secret@hooks.example/", "wants an https:// address without a user's name"),
        ("file:///etc/passwd", "wants an https:// address"),
        ("hooks.example", "wants an https:// address"),
        ("https://hooks.example/" + "a" * 2000, "wants an https:// address"),
        ("https://hooks.example:99999999/", "cannot read 'url'|may not ask"),
        ("https://hooks.example/\x00", "cannot read 'url'"),
    ],
)
def test_only_allowed_hosts_are_asked(url: str, fault: str) -> None:
    with pytest.raises(Permanent, match=fault):
        plan(url=url)


def test_the_case_of_a_host_and_its_usual_port_do_not_matter() -> None:
    assert plan(url="https://HOOKS.example:443/a?b=c")["method"] == "POST"
    assert plan(url="https://b\u00fccher.example/")["url"] == "https://b\u00fccher.example/"


@pytest.mark.parametrize(
    ("method", "is_idempotent"),
    [("GET", True), ("PUT", True), ("DELETE", True), ("POST", False), ("PATCH", False)],
)
def test_what_may_be_sent_twice(method: str, *, is_idempotent: bool) -> None:
    request = plan(url="https://hooks.example/", method=method)
    assert request["idempotent"] is is_idempotent
    assert plan(url="https://hooks.example/", method=method, idempotent=not is_idempotent)["idempotent"] is not (
        is_idempotent
    )


@pytest.mark.parametrize(
    ("headers", "fault"),
    [
        ({"Authorization": "Bearer x"}, "sends no header 'authorization'"),
        ({"Host": "other.example"}, "sends no header 'host'"),
        ({"Idempotency-Key": "1"}, "sends no header 'idempotency-key'"),
        ({"x-a": "1\r\nx-b: 2"}, "wants headers of printable ASCII"),
        ({"x a": "1"}, "wants headers of printable ASCII"),
        ({"x-a": 1}, "wants headers of printable ASCII"),
    ],
)
def test_headers_that_are_refused(headers: dict[str, Any], fault: str) -> None:
    with pytest.raises(Permanent, match=fault):
        plan(url="https://hooks.example/", headers=headers)


@pytest.mark.parametrize(
    "addresses",
    [("10.0.0.1",), ("93.184.215.14", "169.254.169.254"), ("93.184.215.14", "::ffff:10.0.0.1"), ()],
)
def test_a_name_that_leads_elsewhere_is_not_followed(addresses: tuple[str, ...]) -> None:
    action = build(*addresses)
    effect = Effect("0b4f", "http.request", action.plan({"url": "https://hooks.example/"}, DOCUMENT))
    with pytest.raises(Permanent, match=r"hooks\.example leads to .*, which is not on the internet"):
        action.write(effect)


def test_a_host_that_is_no_longer_allowed_is_not_asked() -> None:
    request = plan(url="https://hooks.example/")
    with httpx.Client() as client, pytest.raises(Permanent, match="HTTP_ALLOWED_HOSTS allows none"):
        HttpRequest(client, ()).write(Effect("0b4f", "http.request", request))
