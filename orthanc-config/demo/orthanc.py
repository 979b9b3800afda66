"""The REST API of the Orthanc that start.sh has started."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from typing import Any

# Seconds until a large archive has been opened.
_PATIENCE = 300.0


class Failure(Exception):
    """Something did not go as it should; one line says what."""


class Orthanc:
    """Args: url, without a slash at the end."""

    def __init__(self, url: str) -> None:
        self.url = url

    def wait_until_ready(self, process: int) -> None:
        """Until the plugin serves its routes, or Orthanc's process has ended."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if not os.path.exists(f"/proc/{process}") or _is_dead(process):
                raise Failure("Orthanc cannot start")
            try:
                self.get("/inventories/status")
                return
            except urllib.error.HTTPError as error:
                message = json.load(error).get("Message", "") if error.code == 503 else ""
                if message and "starting" not in message:
                    raise Failure(f"the plugin cannot start: {message}") from None
            except OSError:
                pass
            time.sleep(0.2)
        raise Failure("Orthanc does not answer")

    def read(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=_PATIENCE) as answer:
            return answer.read()

    def get(self, path: str) -> Any:
        return json.loads(self.read(path))

    def post(self, path: str, body: bytes) -> Any:
        request = urllib.request.Request(self.url + path, data=body, method="POST")
        with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
            return json.load(answer)


def _is_dead(process: int) -> bool:
    """A process that has ended but was not waited for is still listed, as a zombie."""
    with open(f"/proc/{process}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"
