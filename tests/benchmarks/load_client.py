"""Sends signed deliveries over a few kept connections: ``python -m tests.benchmarks.load_client URL COUNT``."""

import http.client
import json
import queue
import sys
import threading
from collections import Counter
from urllib.parse import urlsplit

from tests.benchmarks.payloads import SignedDelivery, generate_deliveries, read_samples, select_starting

CONNECTIONS = 6
AHEAD = 200


def send_deliveries(url: str, count: int) -> Counter[int]:
    """Sends ``count`` deliveries as fast as they are answered; returns how many were answered with each status."""
    address = urlsplit(url)
    waiting: queue.Queue[SignedDelivery | None] = queue.Queue(AHEAD)
    statuses: list[int] = []

    def send() -> None:
        connection = http.client.HTTPConnection(address.netloc, timeout=30)
        while (delivery := waiting.get()) is not None:
            connection.request("POST", address.path, delivery.body, delivery.headers)
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for delivery in generate_deliveries(select_starting(read_samples()), count):
        waiting.put(delivery)
    for _ in threads:
        waiting.put(None)
    for thread in threads:
        thread.join()
    return Counter(statuses)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(send_deliveries(sys.argv[1], int(sys.argv[2]))))
