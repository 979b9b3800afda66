"""The PythonScript of the benchmark of Repository Query: the plugin, and a route that asks Orthanc what the plugin asked."""

import json
import threading
import time

import orthanc

from orthanc_inventory.plugin import register

requests = []
state = {"recording": False}


class Recording:
    """Orthanc's own module, whose requests are remembered while they are to be."""

    def __getattr__(self, name):
        return getattr(orthanc, name)

    def RestApiGet(self, path):
        if state["recording"]:
            requests.append((path, None))
        return orthanc.RestApiGet(path)

    def RestApiPost(self, path, body):
        if state["recording"]:
            requests.append((path, body))
        return orthanc.RestApiPost(path, body)


def record(output, uri, **request):
    state["recording"] = uri.endswith("/begin")
    if state["recording"]:
        requests.clear()
    output.AnswerBuffer(json.dumps({"Requests": len(requests)}), "application/json")


def replay(output, uri, **request):
    """The same requests again, each answer decoded, nothing made of it."""
    answer = {}

    def work():
        decode = json.JSONDecoder().raw_decode
        start = time.perf_counter()
        for path, body in requests:
            try:
                content = orthanc.RestApiGet(path) if body is None else orthanc.RestApiPost(path, body)
            except orthanc.OrthancException:
                continue
            if content[:1] in (b"[", b"{"):
                decode(content.decode())
        answer["Seconds"] = time.perf_counter() - start

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    output.AnswerBuffer(json.dumps(answer), "application/json")


register(Recording())
orthanc.RegisterRestCallback("/benchmark/record/(begin|end)", record)
orthanc.RegisterRestCallback("/benchmark/replay", replay)
