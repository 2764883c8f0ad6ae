"""``http.request``: asks a host that the operator has named, and no other address behind its name.

A workflow's text may come from outside, and a worker can reach what the internet cannot: the metadata service,
the database, the neighbours in its network. So the host must be on the allow-list, its name is resolved once, all
its addresses must be public, the connection goes to the address that was checked, and no redirect is followed.
https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
"""

import json
import re
import socket
import ssl
from collections.abc import Callable, Collection, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

import httpx

from shared.adapters.http import TIMEOUT, USER_AGENT, read_retry_after
from shared.adapters.xray import TracedClient
from shared.domain.action_arguments import read_arguments
from shared.domain.effect import Effect, Written
from shared.domain.errors import OutcomeUnknown, Permanent, Transient

KIND = "http.request"
HTTPS_PORT = 443
MAX_URL_CHARACTERS = 2000
MAX_ANSWER_BYTES = 65_536
# https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2
_IDEMPOTENT = {"GET", "PUT", "DELETE"}
_AGAIN = {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_EARLY, httpx.codes.TOO_MANY_REQUESTS}
_HEADER_NAME = re.compile(r"[a-z0-9-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
# Ours to set; and what is written in a workflow is kept in the records, where no credential belongs.
_REFUSED_HEADERS = {
    *("authorization", "proxy-authorization", "cookie"),
    *("host", "connection", "content-length", "transfer-encoding", "idempotency-key"),
}
# What of IPv6 is routed on the internet, without the tunnels that lead to an IPv4 address.
# https://www.iana.org/assignments/iana-ipv6-special-registry
_IPV6_INTERNET = IPv6Network("2000::/3")
_IPV6_TUNNELS = (IPv6Network("2001::/32"), IPv6Network("2002::/16"))

Resolve = Callable[[str, int], Sequence[str]]


def open_web_client(
    verify: ssl.SSLContext | bool = True,  # noqa: FBT001, FBT002 - httpx's own parameter
    *,
    is_traced: bool = False,
) -> httpx.Client:
    """Returns a client that neither follows redirects nor heeds proxies of the environment."""
    return TracedClient(
        is_traced=is_traced,
        # A chat's incoming webhook has its secret there.
        is_path_told=False,
        timeout=TIMEOUT,
        follow_redirects=False,
        trust_env=False,
        verify=verify,
        headers={"user-agent": USER_AGENT},
    )


def resolve_name(host: str, port: int) -> list[str]:
    """Returns the addresses of a host, IPv4 first. Raises Transient."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Transient(f"{host} cannot be resolved: {error}") from error
    addresses = dict.fromkeys(str(each[4][0]) for each in found)
    return sorted(addresses, key=lambda address: ":" in address)


def is_public(address: str) -> bool:
    """Tells whether an address is one on the internet, and not of a private, local or reserved network."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        is_tunnel = any(parsed in network for network in _IPV6_TUNNELS)
        return parsed in _IPV6_INTERNET and not is_tunnel and parsed.is_global
    return _is_public_v4(parsed)


def _is_public_v4(address: IPv4Address) -> bool:
    return address.is_global and not address.is_multicast


class HttpRequest:
    """See ``shared.ports.Action``.

    Idempotent by the header ``Idempotency-Key``, the effect's id, where the other side heeds it and the step says
    so, and by the methods that are so by definition. There is no look-up: any other request whose outcome is
    unknown is not sent again.
    https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/

    Args:
        client: see ``open_web_client``.
        allowed_hosts: names, ``host`` or ``host:port``, in lower case.
        resolve: gives the addresses of a host.
        is_allowed: tells whether an address may be connected to.
    """

    def __init__(
        self,
        client: httpx.Client,
        allowed_hosts: Collection[str],
        resolve: Resolve = resolve_name,
        is_allowed: Callable[[str], bool] = is_public,
    ) -> None:
        self._client = client
        self._allowed_hosts = allowed_hosts
        self._resolve = resolve
        self._is_allowed = is_allowed

    def plan(self, arguments: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments, read. Raises Permanent: among others for a host that is not on the allow-list."""
        request = read_arguments(KIND, arguments, document)
        self._read_url(request["url"])
        method = request.setdefault("method", "POST")
        request.setdefault("idempotent", method in _IDEMPOTENT)
        request["headers"] = {str(name).lower(): value for name, value in request.get("headers", {}).items()}
        for name, value in request["headers"].items():
            if name in _REFUSED_HEADERS:
                raise Permanent(f"{KIND} sends no header {name!r} of a workflow's")
            if not _HEADER_NAME.fullmatch(name) or not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
                raise Permanent(f"{KIND} wants headers of printable ASCII, not {name!r}: {value!r}")
        return request

    def look_up(self, effect: Effect) -> Written | None:
        """Finds nothing. Raises Permanent when the request may have been carried out and must not be repeated."""
        if effect.request["idempotent"]:
            return None
        method, url = effect.request["method"], effect.request["url"]
        raise Permanent(f"unknown_outcome: {method} {url} may have been carried out, and does not say 'idempotent'")

    def write(self, effect: Effect) -> Written:
        """Sends the request."""
        request = effect.request
        url = self._read_url(request["url"])
        host = url.raw_host.decode("ascii")
        addresses = self._resolve(host, url.port or HTTPS_PORT)
        refused = [address for address in addresses if not self._is_allowed(address)]
        if refused or not addresses:
            raise Permanent(f"{host} leads to {refused[0] if refused else 'nowhere'}, which is not on the internet")
        headers, content = _build_content(request)
        headers |= {"host": url.netloc.decode("ascii"), "idempotency-key": effect.id}
        try:
            with self._client.stream(
                request["method"],
                # To the address that was checked, under the name that its certificate must bear.
                url.copy_with(host=addresses[0]),
                headers=headers,
                content=content,
                extensions={"sni_hostname": host},
            ) as response:
                return _read_answer(effect, response)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Transient(f"{host} cannot be reached: {type(error).__name__} {error}") from error
        except httpx.HTTPError as error:
            message = f"{host} did not answer {request['method']}: {type(error).__name__}"
            raise OutcomeUnknown(message) from error

    def _read_url(self, text: str) -> httpx.URL:
        try:
            url = httpx.URL(text)
        except (httpx.InvalidURL, ValueError) as error:
            raise Permanent(f"{KIND} cannot read 'url': {error}") from error
        if url.scheme != "https" or not url.host or url.userinfo or len(text) > MAX_URL_CHARACTERS:
            raise Permanent(f"{KIND} wants an https:// address without a user's name as 'url'")
        name = url.raw_host.decode("ascii")
        if (name if url.port is None else f"{name}:{url.port}") not in self._allowed_hosts:
            allowed = ", ".join(sorted(self._allowed_hosts)) or "none"
            raise Permanent(f"{KIND} may not ask {url.netloc.decode('ascii')}: HTTP_ALLOWED_HOSTS allows {allowed}")
        return url


def _build_content(request: Mapping[str, Any]) -> tuple[dict[str, str], bytes | None]:
    body, headers = request.get("body"), dict(request["headers"])
    if body is None:
        return headers, None
    if isinstance(body, str):
        return {"content-type": "text/plain; charset=utf-8", **headers}, body.encode()
    return {"content-type": "application/json", **headers}, json.dumps(body).encode()


def _read_answer(effect: Effect, response: httpx.Response) -> Written:
    status = response.status_code
    told = f"{effect.request['url']} answered {status} to {effect.request['method']}"
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise OutcomeUnknown(told, read_retry_after(response))
    if status in _AGAIN:
        raise Transient(told, read_retry_after(response))
    if response.has_redirect_location:
        raise Permanent(f"{told}, and redirects are not followed")
    if not response.is_success:
        raise Permanent(told)
    return Written(effect.id, None, {"status_code": status, "body": _read_body(response)})


def _read_body(response: httpx.Response) -> Any:  # noqa: ANN401 - JSON is anything
    content = bytearray()
    try:
        for part in response.iter_bytes():
            content += part
            if len(content) > MAX_ANSWER_BYTES:
                return None
    except httpx.HTTPError:
        # The status has said that it is done.
        return None
    try:
        return json.loads(content) if content else None
    except (ValueError, RecursionError):
        return bytes(content).decode("utf-8", "replace")
