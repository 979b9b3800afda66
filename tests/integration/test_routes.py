"""What is wrong with a request is said in one line that names it, and nothing is started."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from . import archive
from .server import Server
from .waiting import wait_until

UNKNOWN = "2.25.99"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{", ["JSON"]),
        ("null", ["JSON object"]),
        ("[]", ["JSON object", "Level"]),
        ('"INSTANCE"', ["JSON object"]),
        ("{\"Level\": \"INSTANCE\"", ["JSON"]),
        (b"\xff\xfe{}", ["JSON"]),
        ('{"Level": NaN}', ["JSON"]),
        ("[" * 100_000, ["JSON"]),
        ('\\"' * 100_000, ["JSON"]),
        ('{"Lvel": "STUDY"}', ["Lvel", "unknown", "Level"]),
        ('{"<script>": 1}', ["unknown", "Level"]),
        ('{"Level": "IMAGE"}', ["Level", "STUDY", "SERIES", "INSTANCE"]),
        ('{"Level": "study"}', ["Level", "STUDY"]),
        ('{"Level": ""}', ["Level", "STUDY"]),
        ('{"Level": 3}', ["Level", "text"]),
        ('{"Level": null}', ["Level", "text"]),
        ('{"Purpose": 1}', ["Purpose", "text"]),
        ('{"Purpose": "%s"}' % ("x" * 10241), ["Purpose", "10240"]),
        ('{"Purpose": "a\\u0000b"}', ["Purpose"]),
        ('{"Description": "%s"}' % ("x" * 10_241), ["Description", "10240"]),
        ('{"Synchronous": "yes"}', ["Synchronous", "true or false"]),
        ('{"Synchronous": 1}', ["Synchronous", "true or false"]),
        ('{"TransactionUID": "abc"}', ["TransactionUID", "UID"]),
        ('{"TransactionUID": ""}', ["TransactionUID", "UID"]),
        ('{"TransactionUID": "1.02.3"}', ["TransactionUID", "UID"]),
        ('{"TransactionUID": "%s"}' % ("1." * 32 + "1"), ["TransactionUID", "UID"]),
        ('{"TransactionUID": 12}', ["TransactionUID", "text"]),
        ('{"Scope": []}', ["Scope", "object"]),
        ('{"Scope": "all"}', ["Scope", "object"]),
        ('{"Scope": {"PatientAge": "3"}}', ["Scope.PatientAge", "PatientID"]),
        ('{"Scope": {"PatientID": 1}}', ["Scope.PatientID", "text"]),
        ('{"Scope": {"PatientID": ""}}', ["Scope.PatientID", "empty"]),
        ('{"Scope": {"PatientID": "a\\\\"}}', ["Scope.PatientID"]),
        ('{"Scope": {"StudyDate": "2020"}}', ["Scope.StudyDate", "YYYYMMDD"]),
        ('{"Scope": {"StudyDate": "20200230"}}', ["Scope.StudyDate", "YYYYMMDD"]),
        ('{"Scope": {"StudyDate": "20210101-20200101"}}', ["Scope.StudyDate", "range"]),
        ('{"Scope": {"StudyDate": "-"}}', ["Scope.StudyDate"]),
        ('{"Scope": {"StudyInstanceUID": "1.2.*"}}', ["Scope.StudyInstanceUID", "UID"]),
        ('{"Scope": {"ModalitiesInStudy": "ct"}}', ["Scope.ModalitiesInStudy", "upper case"]),
    ],
)
def test_a_wrong_body_starts_nothing(shared_server: Server, body: str | bytes, words: list[str]) -> None:
    before = shared_server.get("/inventories/transactions")
    message = shared_server.error("POST", "/inventories", 400, data=body)
    assert all(word in message for word in words), message
    assert shared_server.get("/inventories/transactions") == before


def test_a_body_that_is_too_large_is_refused(shared_server: Server) -> None:
    shared_server.error("POST", "/inventories", 413, data=json.dumps({"Description": "x" * 2_000_000}))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"/inventories/{UNKNOWN}", 404),
        ("GET", f"/inventories/{UNKNOWN}/file", 404),
        ("DELETE", f"/inventories/{UNKNOWN}", 404),
        ("GET", f"/inventories/transactions/{UNKNOWN}", 404),
        ("POST", f"/inventories/transactions/{UNKNOWN}/pause", 404),
        ("POST", f"/inventories/transactions/{UNKNOWN}/resume", 404),
        ("POST", f"/inventories/transactions/{UNKNOWN}/cancel", 404),
        ("GET", "/inventories/no-uid", 404),
        ("GET", "/inventories/../../etc/passwd", 404),
        ("GET", "/inventories/transactions/1.2/3.4", 404),
        ("GET", "/inventories?limit=x", 400),
        ("GET", "/inventories?since=-1", 400),
        ("GET", "/inventories/transactions?limit=1.5", 400),
    ],
)
def test_what_is_not_there_is_told(shared_server: Server, method: str, path: str, status: int) -> None:
    if ".." in path:  # Orthanc itself answers what lies outside
        assert shared_server.request(method, path).status_code == status
    else:
        shared_server.error(method, path, status)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/inventories", "GET,POST"),
        ("DELETE", "/inventories", "GET,POST"),
        ("POST", "/inventories/status", "GET"),
        ("POST", f"/inventories/{UNKNOWN}", "DELETE,GET"),
        ("GET", f"/inventories/transactions/{UNKNOWN}/pause", "POST"),
    ],
)
def test_a_method_that_a_path_has_not_is_refused(shared_server: Server, method: str, path: str, allowed: str) -> None:
    answer = shared_server.request(method, path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)


def test_a_wrong_body_of_a_change_is_refused(shared_server: Server) -> None:
    uid = shared_server.post("/inventories", {"Synchronous": True})["ID"]
    path = f"/inventories/transactions/{uid}/cancel"
    assert "RetainInstances" in shared_server.error("POST", path, 400, data='{"RetainInstances": "Y"}')
    assert "RetainInstances" in shared_server.error("POST", path, 400, data='{"Retain": true}')


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example.org"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example.org", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_a_request_from_another_site_is_refused(shared_server: Server, headers: dict[str, str]) -> None:
    before = shared_server.get("/inventories"), shared_server.get("/inventories/transactions")
    assert "another site" in shared_server.error("POST", "/inventories", 403, headers=headers)
    shared_server.error("DELETE", f"/inventories/{UNKNOWN}", 403, headers=headers)
    shared_server.error("POST", f"/inventories/transactions/{UNKNOWN}/pause", 403, headers=headers)
    assert (shared_server.get("/inventories"), shared_server.get("/inventories/transactions")) == before


def test_a_request_from_the_own_site_is_served(shared_server: Server) -> None:
    headers = {"Origin": shared_server.url, "Sec-Fetch-Site": "same-origin"}
    answer = shared_server.request("POST", "/inventories", headers=headers, data='{"Synchronous": true}')
    assert answer.status_code == 200 and answer.json()["State"] == "Success"


def test_any_content_type_is_accepted(shared_server: Server) -> None:
    for content_type in ("application/json", "application/x-www-form-urlencoded", "text/plain"):
        headers = {"Content-Type": content_type}
        answer = shared_server.request("POST", "/inventories", headers=headers, data='{"Synchronous": true, "Level": "STUDY"}')
        assert answer.status_code == 200 and answer.json()["Level"] == "STUDY"


def test_texts_come_back_as_they_were_given(shared_server: Server) -> None:
    body = {"Purpose": "Prüfung 山田 ✓", "Description": "line one\nline <b>two</b> \\ end", "UserData": {"ü": [1, None, "x"]}}
    transaction = shared_server.post("/inventories", {**body, "Synchronous": True})
    assert {key: transaction[key] for key in body} == body
    root = shared_server.file(transaction["SOPInstanceUID"])
    assert root.InventoryPurpose == body["Purpose"] and root.InventoryInstanceDescription == body["Description"]


def test_users_may_do_what_the_configuration_says(make_server: Callable[..., Server]) -> None:
    users = {"reader": "r", "keeper": "k", "stranger": "s"}
    server = make_server(
        configuration={"AuthenticationEnabled": True, "RegisteredUsers": users},
        inventory={"Users": {"Read": ["reader", "keeper"], "Manage": ["keeper"]}},
    ).start()

    def status(method: str, path: str, user: str) -> int:
        return server.request(method, path, auth=(user, users.get(user, ""))).status_code

    assert status("GET", "/inventories", "nobody") == 401
    assert status("GET", "/inventories", "reader") == 200
    assert status("GET", "/inventories", "stranger") == 403
    assert status("POST", "/inventories", "reader") == 403
    assert status("DELETE", f"/inventories/{UNKNOWN}", "reader") == 403
    answer = server.request("POST", "/inventories", auth=("keeper", "k"), data='{"Synchronous": true}')
    assert answer.status_code == 200 and answer.json()["Requestor"] == "keeper"
    assert server.request("GET", "/inventories", auth=("reader", "r")).json() == [answer.json()["SOPInstanceUID"]]


# What monitoring and the log show


def metrics(server: Server) -> dict[str, float]:
    lines = server.request("GET", "/tools/metrics-prometheus").text.splitlines()
    values = (line.split() for line in lines if line.startswith("orthanc_inventory_"))
    return {name: float(value) for name, value, *_ in values}


def wait_for_metrics(server: Server, **expected: float) -> None:
    """Those of an end: it is seen before the metrics tell of it."""
    values = {f"orthanc_inventory_{name}": value for name, value in expected.items()}
    wait_until(lambda: values.items() <= metrics(server).items(), lambda: metrics(server))


def test_metrics_tell_of_runs(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 6, "ThrottleDelay": 150}).start_with("halt(12)")
    idle = metrics(server)
    assert idle["orthanc_inventory_running"] == idle["orthanc_inventory_inventories"] == 0
    server.store(*archive.files(20))
    uid = server.begin()
    server.begin()
    # Metrics are told once a second.
    wait_until(lambda: metrics(server)["orthanc_inventory_run_studies"])
    running = metrics(server)
    assert (running["orthanc_inventory_running"], running["orthanc_inventory_pending"]) == (1, 1)
    assert 0 < running["orthanc_inventory_run_studies"] < 20 and 0 < running["orthanc_inventory_run_progress"] < 100
    server.let_go()
    server.wait_for(uid)
    server.wait_for(server.get("/inventories/transactions")[1])
    wait_for_metrics(server, running=0, inventories=2, run_progress=100, run_instances=20, failures=0)


# The log tells of a run five times a second.
OFTEN = "from orthanc_inventory.production import pace\npace._SECONDS_BETWEEN_LOG_LINES = 0.2"


def test_the_log_tells_of_runs_and_names_no_patient(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"ThrottleDelay": 50}).start_with(OFTEN)
    server.store(*archive.files(20))
    uid = server.post("/inventories", {"Synchronous": True, "Scope": {"PatientName": "FAMILY*"}})["ID"]
    lines = [line for line in server.log_lines() if line.startswith(uid)]
    first, *between, last = [line.split()[1] for line in lines]
    assert (first, last) == ("starts:", "is") and set(between) == {"runs:"}
    assert "20 studies, 20 series, 20 instances" in lines[-1] and "records/s" in lines[-1]
    for secret in ("Family", "FAMILY", "P0001", "A001", archive.ROOT):
        assert not [line for line in server.log_lines() if secret in line]
    assert not [path for path in server.state_directory.rglob("*") if "Family" in path.name or "P0001" in path.name]
