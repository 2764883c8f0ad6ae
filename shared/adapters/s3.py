"""S3: the bodies that a queue message cannot hold."""

from shared.adapters.aws import AwsRefusal, AwsService
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
        try:
            return self._service.request("GET", f"/{self._bucket}/{key}", {}).body
        except AwsRefusal as error:
            if error.code == "NoSuchKey":
                raise
            # A missing grant or bucket is mended by the operator, and then every body is there again.
            raise Transient(str(error)) from error
