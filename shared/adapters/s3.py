"""S3: the bodies that a queue message cannot hold."""

from shared.adapters.aws import AwsService
from shared.domain.errors import Permanent, Transient


class S3BodyStore:
    """Compressed bodies in one bucket; see ``shared.ports.BodyStore``."""

    def __init__(self, service: AwsService, bucket: str) -> None:
        self._service = service
        self._bucket = bucket

    def put(self, key: str, deflated: bytes) -> None:
        """Stores the compressed body under ``key``."""
        try:
            self._service.request(
                "PUT", f"/{self._bucket}/{key}", {"content-type": "application/octet-stream"}, deflated
            )
        except Permanent as error:
            raise Transient(str(error)) from error

    def get(self, key: str) -> bytes:
        """Returns the compressed body under ``key``."""
        return self._service.request("GET", f"/{self._bucket}/{key}", {}).body
