"""Who may do what on which route, what a foreign page can make a browser do, and what stays private on the disk."""

from __future__ import annotations

import os
import re
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser
from pydicom.uid import ImplicitVRLittleEndian

from . import archive, foreign
from .server import DICOM_WEB_PLUGIN, INSTALLATIONS, PLUGIN, REPOSITORY, Installation, Server

USERS = {"reader": "r", "keeper": "k", "stranger": "s"}
KEEPER = ("keeper", "k")
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "Accept-Language": "de,en;q=0.5"}


@pytest.fixture(scope="module", params=INSTALLATIONS, ids=[entry.name.replace(" ", "-") for entry in INSTALLATIONS])
def guarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An Orthanc with users, some of whom the plugin knows, and the routes of DICOMweb."""
    installation: Installation = request.param
    server = Server(
        installation,
        tmp_path_factory.mktemp("guarded"),
        configuration={
            "Plugins": [PLUGIN, DICOM_WEB_PLUGIN], "AuthenticationEnabled": True, "RegisteredUsers": USERS,
        },
        inventory={"Users": {"Read": ["reader", "keeper"], "Manage": ["keeper"]}},
    ).start()
    server.request("POST", "/instances", data=archive.file(1, 1), auth=KEEPER)
    yield server
    server.kill()


def made(server: Server, **body: Any) -> str:
    """The UID of a new inventory."""
    answer = server.request("POST", "/inventories", json={**body, "Synchronous": True}, auth=KEEPER)
    assert answer.status_code == 200 and answer.json()["State"] == "Success", answer.text
    return answer.json()["SOPInstanceUID"]


def roots(server: Server) -> list[str]:
    return server.request("GET", "/inventories", auth=KEEPER).json()


# Users


def test_every_route_asks_who_the_user_is(guarded: Server) -> None:
    uid = made(guarded)
    paths = guarded.request("GET", "/inventories/openapi.json", auth=KEEPER).json()["paths"]
    assert {"/inventories", "/inventories/app", "/inventories/openapi.json", "/dicom-web/inventories"} <= set(paths)
    before = roots(guarded), guarded.request("GET", "/inventories/transactions", auth=KEEPER).json()
    for path, operations in paths.items():
        url = re.sub("{file}", "index.html", path)
        url = re.sub("{[a-zA-Z]+}", uid, url)
        for method in ("GET", "POST", "PUT", "DELETE"):
            def status(*user: str) -> int:
                return guarded.request(method, url, auth=(user[0], USERS[user[0]]) if user else None).status_code

            assert status() == 401, (method, url)
            assert status("stranger") == 403, (method, url)
            if method != "GET":
                assert status("reader") == 403, (method, url)
            elif "get" in operations:
                assert status("reader") in (200, 204, 400, 404, 409), (method, url)
    assert (roots(guarded), guarded.request("GET", "/inventories/transactions", auth=KEEPER).json()) == before


def test_users_need_that_orthanc_checks_them(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"Users": {"Read": ["alice"]}}).start()
    for auth in (None, ("alice", "whatever")):
        message = server.error("GET", "/inventories", 503, auth=auth)
        assert "Inventory.Users" in message and "AuthenticationEnabled" in message
    assert [line for line in server.log_lines() if "Inventory.Users needs" in line]


def test_the_paths_for_an_authorization_plugin_are_those_of_the_routes(guarded: Server) -> None:
    text = (REPOSITORY / "SECURITY.md").read_text()
    rows = re.findall(r"^\| ([A-Z, ]+) \| (`.+?`) \| .+ \|$", text.replace("\\|", "OR"), re.MULTILINE)
    told = [
        (method, expression.replace("OR", "|"))
        for methods, expressions in rows
        for method in methods.split(", ")
        for expression in expressions.strip("`").split("`, `")
    ]
    paths = guarded.request("GET", "/inventories/openapi.json", auth=KEEPER).json()["paths"]
    used = set()
    for path, operations in paths.items():
        url = re.sub("{Name}", "nightly", re.sub("{file}", "page.js", path))
        url = re.sub("{[a-zA-Z]+}", "1.2.3", url)
        for method in map(str.upper, operations):
            matching = [entry for entry in told if entry[0] == method and re.match(entry[1], url)]
            assert len(matching) == 1, (method, url, matching)
            used.update(matching)
    assert used == set(told)


# Requests that a foreign page makes a browser send


@pytest.mark.parametrize(
    "headers",
    [
        BROWSER,
        {**BROWSER, "Sec-Fetch-Site": "same-site"},
        {**BROWSER, "Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://["},
        {"Origin": ""},
    ],
)
def test_a_get_that_stands_for_a_delete_is_refused(guarded: Server, headers: dict[str, str]) -> None:
    """Orthanc takes ``_method`` for the method; an image or a link is all that it needs."""
    uid = made(guarded)
    answer = guarded.request("GET", f"/inventories/{uid}?_method=delete", headers=headers, auth=KEEPER)
    assert answer.status_code == 403 and "another site" in answer.json()["Message"]
    assert uid in roots(guarded)


def test_the_page_of_the_server_itself_may_change_things(guarded: Server) -> None:
    uid = made(guarded)
    headers = {**BROWSER, "Origin": guarded.url, "Sec-Fetch-Site": "same-origin"}
    assert guarded.request("DELETE", f"/inventories/{uid}", headers=headers, auth=KEEPER).status_code == 200


@contextmanager
def foreign_page(html: str) -> Iterator[str]:
    """The URL of a page on another port of this machine: another origin, though the same site."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def test_a_foreign_page_deletes_nothing(shared_server: Server, browser: Browser) -> None:
    uid = shared_server.make()["SOPInstanceUID"]
    target = f"{shared_server.url}/inventories/{uid}?_method=delete"
    html = f'<img src="{target}&image" onerror="document.title = \'tried\'"><a href="{target}">click</a>'
    with foreign_page(html) as url:
        page = browser.new_page()
        try:
            page.goto(url)
            page.wait_for_function("document.title === 'tried'")
            page.click("a")
            page.wait_for_url(target)
        finally:
            page.close()
    assert uid in shared_server.get("/inventories")


# Files


def test_what_is_written_is_private(make_server: Callable[..., Server], installation: Installation) -> None:
    before = os.umask(0)
    try:
        server = make_server(inventory={"StoreIn": "Directory"}).start()
    finally:
        os.umask(before)
    server.store(*archive.files(2))
    uid = server.make()["SOPInstanceUID"]
    file = foreign.encode(foreign.inventory("1.9.1", [foreign.study(1)]))
    assert server.request("POST", "/inventories/import", data=file).status_code == 200
    assert server.request("POST", f"/inventories/{uid}/compare", data=file).status_code == 200
    found = {path: stat.S_IMODE(path.stat().st_mode) for path in server.state_directory.rglob("*")}
    assert sum(path.suffix == ".dcm" for path in found) >= 2 and any(path.name == "body" for path in found)
    assert {path: mode for path, mode in found.items() if mode != (0o700 if path.is_dir() else 0o600)} == {}


PATHS = ("/etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/journal.db", "1.2.3%00.dcm", "app/..%2f..%2fhost.py")


def test_no_path_of_a_request_leads_to_a_file(guarded: Server) -> None:
    for path in PATHS:
        for prefix in ("/inventories/", "/dicom-web/inventories/"):
            with socket.create_connection(("127.0.0.1", guarded.http_port), 60) as connection:
                headers = "Host: x\r\nAuthorization: Basic a2VlcGVyOms=\r\nConnection: close"
                connection.sendall(f"GET {prefix}{path} HTTP/1.1\r\n{headers}\r\n\r\n".encode())
                answer = b"".join(iter(lambda: connection.recv(65536), b""))
            assert answer.split(b" ")[1] in (b"400", b"404"), (prefix, path, answer)
            assert b"root:" not in answer and b"SQLite format" not in answer and b"RestError" not in answer


@pytest.mark.parametrize("uid", ["../../../../tmp/x", "1.2/3", "1.2.3\\..", "/etc/passwd", "1.2..3", "." * 5])
def test_no_uid_becomes_a_path(guarded: Server, uid: str) -> None:
    data = foreign.inventory("1.9.5.1", [foreign.study(1)])
    file = foreign.encode(data).replace(b"1.9.5.1\0", uid.encode().ljust(8, b"\0")[:8])
    assert guarded.request("POST", "/inventories/import", data=file, auth=KEEPER).status_code == 400
    assert not list(guarded.state_directory.rglob("*.dcm"))


# What is too long for what it is


def test_a_long_text_of_an_import_breaks_nothing(guarded: Server) -> None:
    """In Implicit VR a text may be longer than any Explicit VR of it can tell."""
    data = foreign.inventory("1.9.6", [foreign.study(6)])
    data["InventoryPurpose"].validation_mode = 0
    data["InventoryPurpose"].value = "x" * 70_000
    file = foreign.encode(data, ImplicitVRLittleEndian)
    assert guarded.request("POST", "/inventories/import", data=file, auth=KEEPER).status_code == 200
    try:
        one, dicom_web = "/inventories/1.9.6", "/dicom-web/inventories"
        for path in (one, f"{one}/archive", f"{one}/export", f"{one}/studies", dicom_web, f"{dicom_web}?includefield=all"):
            answer = guarded.request("GET", path, auth=KEEPER)
            assert answer.status_code == 200, (path, answer.text)
        [found] = guarded.request("GET", f"{dicom_web}?SOPInstanceUID=1.9.6", auth=KEEPER).json()
        assert found["00080401"]["Value"] == ["x" * 70_000]
    finally:
        guarded.request("DELETE", "/inventories/1.9.6", auth=KEEPER)


def test_a_scope_of_many_values_is_served(guarded: Server) -> None:
    patients = ["P0001", *(f"{number:064}" for number in range(1200))]
    uid = made(guarded, Scope={"PatientID": "\\".join(patients)})
    summary = guarded.request("GET", f"/inventories/{uid}", auth=KEEPER).json()
    assert summary["Studies"] == 1 and summary["InventoryCompletionStatus"] == "COMPLETE"


@pytest.mark.parametrize("digits", ["9" * 5000, "1" * 5000 + "x"])
def test_a_number_of_many_digits_is_refused(guarded: Server, digits: str) -> None:
    answer = guarded.request("POST", "/inventories/preview", json={"Scope": {"SeriesNumber": digits}}, auth=KEEPER)
    assert answer.status_code == 400 and "Scope.SeriesNumber" in answer.json()["Message"]


def test_an_object_with_a_number_of_many_digits_is_listed(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"Detail": "Files"}).start()
    data = archive.dataset(1, 1, 1, 1)
    data.SeriesNumber, data.InstanceNumber = 1, 7654321
    file = archive.encode(data).replace(b"IS\x08\x007654321 ", b"IS" + (5000).to_bytes(2, "little") + b"9" * 5000)
    server.store(file)
    summary = server.make()
    assert (summary["Instances"], summary["InventoryCompletionStatus"]) == (1, "COMPLETE")
