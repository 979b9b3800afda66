"""orthanc-inventory as people use it: a process of its own that asks a real Orthanc."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from . import archive
from .server import REPOSITORY, Server
from .signals import heed_signals

_CREDENTIALS = {"AuthenticationEnabled": True, "RegisteredUsers": {"alice": "right:ünd öpen"}}


def environment(**more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY / "plugin"), "PYTHONUTF8": "1", **more}


def command(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs a command; ``more`` is added to its environment."""
    return subprocess.run(
        [sys.executable, "-m", "orthanc_inventory", *arguments],
        env=environment(**more), capture_output=True, text=True, timeout=120, check=False,
    )


def begun(*arguments: str, **streams: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "orthanc_inventory", *arguments]
    return subprocess.Popen(command, env=environment(), preexec_fn=heed_signals, **streams)


def succeeded(*arguments: str, **more: str) -> str:
    done = command(*arguments, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(*arguments: str, **more: str) -> str:
    """The one line in which a command says why it cannot."""
    done = command(*arguments, **more)
    assert (done.returncode, done.stdout) == (2, ""), done.stdout + done.stderr
    [line] = done.stderr.splitlines()
    assert line.startswith("orthanc-inventory: ")
    return line


def test_an_inventory_is_made_listed_and_shown(server: Server) -> None:
    server.store(*archive.files(3))
    uid = succeeded("create", "--url", server.url, "--wait", "--level", "series", "--purpose", "Audit").strip()
    assert server.get("/inventories") == [uid]
    summary = server.get(f"/inventories/{uid}")
    assert (summary["InventoryLevel"], summary["InventoryPurpose"], summary["Studies"]) == ("SERIES", "Audit", 3)
    assert json.loads(succeeded("list", "--url", server.url, "--json")) == [summary]
    header, row = succeeded("list", "--url", server.url).splitlines()
    assert uid in row and row.split()[2:4] == ["SERIES", "COMPLETE"] and header.startswith("Made")
    for source in (uid, "latest"):
        shown = json.loads(succeeded("show", source, "--url", server.url, "--json", "--statistics"))
        assert shown.pop("Statistics")["Modalities"]["CT"]["Studies"] == 3
        assert shown == summary
    assert "Studies:       3\n" in succeeded("show", uid, "--url", server.url)


def test_options_of_create_are_those_of_the_route(server: Server, tmp_path: Path) -> None:
    server.store(*archive.files(3), archive.file(3, 1, 2, 1))
    scope = tmp_path / "scope.json"
    scope.write_text('{"PatientName": "FAMILY*"}')
    options = ["--scope-json", str(scope), "--scope", "ModalitiesInStudy=MR", "--url", server.url]
    assert succeeded("create", "--preview", *options) == "1\n"
    assert server.get("/inventories/transactions") == []
    transaction = json.loads(
        succeeded(
            "create", *options, "--detail", "files", "--description", "Of MR", "--no-removed", "--no-patient-identifiers",
            "--wait", "--json",
        )
    )
    expected = {
        "Scope": {"PatientName": "FAMILY*", "ModalitiesInStudy": "MR"}, "Detail": "Files", "Description": "Of MR",
        "IncludeRemoved": False, "PatientIdentifiers": False, "Studies": 1, "InventoryCompletionStatus": "COMPLETE",
    }
    assert {key: transaction[key] for key in expected} == expected
    first = succeeded("create", "--wait", "--url", server.url).strip()
    increment = json.loads(succeeded("create", "--wait", "--json", "--base", "latest", "--url", server.url))
    assert increment["Base"] == first
    started = json.loads(succeeded("create", "--json", "--url", server.url))
    assert set(started) == {"ID", "Path"} and server.wait_for(started["ID"])["State"] == "Success"


def test_the_exit_code_tells_of_runs_that_are_not_complete(make_server: Callable[..., Server]) -> None:
    server = halting(make_server, "halt(3)")
    run = succeeded("create", "--url", server.url).strip()
    server.wait_until(run, Studies=3)
    server.post(f"/inventories/transactions/{run}/cancel", {"RetainInstances": True})
    server.wait_for(run)
    watched = command("watch", run, "--url", server.url, "--json")
    assert watched.returncode == 1 and "CANCELED" in watched.stderr
    transaction = json.loads(watched.stdout)
    assert transaction["InventoryCompletionStatus"] == "PARTIAL"
    uid = transaction["SOPInstanceUID"]
    assert command("show", uid, "--url", server.url).returncode == 1
    assert "no COMPLETE inventory" in refused("show", "latest", "--url", server.url)


def halting(make_server: Callable[..., Server], text: str) -> Server:
    """A server with 20 studies and this script; each study is a leaf."""
    server = make_server(inventory={"MaxRecordsPerInstance": 3}).start_with(text)
    server.store(*archive.files(20))
    return server


def paused_in_its_middle(server: Server) -> str:
    """A run that goes on when the test has begun to watch it."""
    run = server.begin()
    server.wait_until(run, Studies=3)
    server.post(f"/inventories/transactions/{run}/pause")
    server.wait_for(run, "Paused")
    return run


def test_a_run_is_watched_from_its_middle_on_a_terminal(make_server: Callable[..., Server]) -> None:
    # Where it was paused it halts when it is resumed, too.
    server = halting(make_server, "halt(3)")
    run = paused_in_its_middle(server)
    master, terminal = pty.openpty()
    process = begun("watch", "--url", server.url, stdout=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    drawn = os.read(master, 4096)
    server.post(f"/inventories/transactions/{run}/resume")
    while select.select([master], [], [], 60)[0]:
        try:
            drawn += os.read(master, 4096)
        except OSError:  # nobody holds the other end any more
            break
        if b" left" in drawn:
            server.let_go()
    os.close(master)
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, output.decode().strip()) == (0, server.transaction(run)["SOPInstanceUID"]), drawn
    _, *lines = drawn.decode().split("\r")
    assert drawn.count(b"\n") == 1 and lines[-1] == "\n"
    assert all(line.endswith("\x1b[K") and len(line.removesuffix("\x1b[K")) < 80 for line in lines[:-1])
    assert "paused, " in lines[0] and "of 20 studies" in lines[0] and "100 %" in lines[-2]
    assert any("of 20 studies" in line and "#" in line and "-]" in line and "left" in line for line in lines)


def test_a_run_is_watched_over_a_restart(make_server: Callable[..., Server]) -> None:
    server = halting(make_server, "halt(3)")
    run = paused_in_its_middle(server)
    process = begun("watch", run, "--url", server.url, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None and b"paused" in process.stderr.readline()
    server.kill()
    # However far a question was when Orthanc went.
    assert b"cannot be reached: " in (line := process.stderr.readline()) and line.endswith(b"; trying again\n")
    server.start(server.http_port)
    server.post(f"/inventories/transactions/{run}/resume")
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, output.decode().strip()) == (0, server.wait_for(run)["SOPInstanceUID"]), errors
    assert b"100 %" in errors


def test_a_run_goes_on_when_watching_is_interrupted(make_server: Callable[..., Server]) -> None:
    server = halting(make_server, "halt(3)")
    process = begun("create", "--wait", "--url", server.url, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None and process.stderr.readline()
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    [run] = server.get("/inventories/transactions")
    assert (process.returncode, output) == (130, b"")
    assert errors.decode().splitlines()[-1] == f"the run goes on; to watch it again: orthanc-inventory watch {run}"
    server.let_go()
    assert server.wait_for(run)["State"] == "Success"


def test_credentials_come_from_an_option_or_the_environment(make_server: Callable[..., Server]) -> None:
    server = make_server(configuration=_CREDENTIALS).start()
    [(name, password)] = _CREDENTIALS["RegisteredUsers"].items()
    url = {"ORTHANC_INVENTORY_URL": server.url}
    assert succeeded("list", "--json", "--user", f"{name}:{password}", **url) == "[]\n"
    assert succeeded("list", "--json", "--user", name, ORTHANC_INVENTORY_PASSWORD=password, **url) == "[]\n"
    variables = {"ORTHANC_INVENTORY_USER": name, "ORTHANC_INVENTORY_PASSWORD": password}
    assert succeeded("list", "--json", **variables, **url) == "[]\n"
    assert "wrong user or password" in refused("list", "--user", f"{name}:{password}x", **url)
    assert "it wants a user" in refused("list", **url)
    assert "there is no password" in refused("list", "--user", name, **url)


def test_who_may_not_is_told_so(make_server: Callable[..., Server]) -> None:
    server = make_server(configuration=_CREDENTIALS, inventory={"Users": {"Manage": ["bob"]}}).start()
    line = refused("create", "--url", server.url, "--user", "alice:right:ünd öpen")
    assert "(403): this user is not among Inventory.Users.Manage" in line


class _Site(BaseHTTPRequestHandler):
    """A web site that is no Orthanc; ``requests`` are the credentials that it was sent."""

    requests: list[str | None]
    status, headers_sent, body = 200, {"Content-Type": "text/html"}, b"<html>\x1b[31m"

    def do_GET(self) -> None:
        self.requests.append(self.headers.get("Authorization"))
        self.send_response(self.status)
        for name, value in {**self.headers_sent, "Content-Length": str(len(self.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.body)

    do_POST = do_GET

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def make_site() -> Iterator[Callable[..., tuple[str, list[str | None]]]]:
    """Makes a web site; answers its URL and the list of the credentials that it will have been sent."""
    sites: list[HTTPServer] = []

    def make(certificate: tuple[Path, Path] | None = None, **answer: Any) -> tuple[str, list[str | None]]:
        requests: list[str | None] = []
        site = HTTPServer(("127.0.0.1", 0), type("Site", (_Site,), {"requests": requests, **answer}))
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            site.socket = context.wrap_socket(site.socket, server_side=True)
        sites.append(site)
        threading.Thread(target=site.serve_forever).start()
        return f"http{'s' if certificate else ''}://127.0.0.1:{site.server_port}", requests

    yield make
    for site in sites:
        site.shutdown()
        site.server_close()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({}, "does not answer as orthanc-inventory does"),
        ({"body": b'{"Name": "other"}'}, "does not answer as orthanc-inventory does"),
        ({"status": 404}, "there is no Orthanc with orthanc-inventory at"),
        ({"status": 403}, "refuses (403): Forbidden"),
        ({"status": 500}, "refuses (500): Internal Server Error"),
        ({"status": 503}, "is not ready (503)"),
        ({"status": 404, "body": b'{"Message": "\\u001b[2J\\nx"}'}, "refuses (404): \\x1b[2J\\nx"),
    ],
)
def test_a_url_that_is_no_orthanc_is_told(make_site: Callable[..., Any], answer: dict[str, Any], told: str) -> None:
    url, _ = make_site(**answer)
    assert told in refused("list", "--url", url)


def test_an_answer_that_breaks_off_is_told(make_site: Callable[..., Any]) -> None:
    class Longer(bytes):
        def __len__(self) -> int:
            return super().__len__() + 10

    url, _ = make_site(body=Longer(b"[]"))
    assert "broke off" in refused("list", "--url", url)


def test_a_url_that_nobody_answers_is_told() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        assert "cannot be reached: Connection refused" in refused("list", "--url", url)
        closed.listen()
        assert "does not answer in time" in refused("list", "--url", url, "--timeout", "1")
    assert "which Orthanc?" in refused("list")


def test_an_orthanc_without_the_plugin_is_told(make_server: Callable[..., Server], tmp_path: Path) -> None:
    folder = tmp_path / "orthanc0"
    folder.mkdir()
    (folder / "empty.py").write_text("")
    server = make_server(script=folder / "empty.py").start()
    for arguments in (["list"], ["watch"], ["create"], ["show", "1.2.3"]):
        assert "there is no Orthanc with orthanc-inventory at" in refused(*arguments, "--url", server.url)


def test_a_redirect_takes_no_credentials_elsewhere(make_site: Callable[..., Any]) -> None:
    elsewhere, stolen = make_site(body=b"[]")
    url, asked = make_site(status=302, headers_sent={"Location": f"{elsewhere}/inventories"})
    line = refused("list", "--url", url, "--user", "alice:secret")
    assert f"redirects to {elsewhere}" in line and len(asked) == 1 and stolen == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "--url", "http://alice:secret@127.0.0.1:1"],
        ["list", "--url", "http://alice:secret@127.0.0.1:1:1"],
        ["list", "--url", "alice:secret@127.0.0.1"],
        ["list", "--url", "http://127.0.0.1:1", "--user", "alice:secret"],
        ["list", "--url", "http://127.0.0.1:1", "--usr", "alice:secret"],
        ["list", "--url", "http://127.0.0.1:1", "--password=secret"],
        ["list", "folder", "alice:secret"],
        ["--user", "alice:secret", "list"],
        ["alice:secret"],
    ],
)
def test_a_password_is_never_shown(arguments: list[str]) -> None:
    assert "secret" not in refused(*arguments)


def test_a_password_of_the_environment_is_not_in_the_help() -> None:
    variables = {
        "ORTHANC_INVENTORY_URL": "http://alice:secret@h", "ORTHANC_INVENTORY_USER": "alice:secret",
        "ORTHANC_INVENTORY_PASSWORD": "secret",
    }
    assert "secret" not in succeeded("list", "--help", **variables)
    assert "secret" not in refused("list", **variables)


def test_a_reader_who_leaves_early_is_no_error(server: Server) -> None:
    # More than the pipe takes before it is closed.
    for _ in range(9):
        server.make(Description="x" * 9000)
    process = begun("list", "--json", "--url", server.url, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait(60) == 128 + signal.SIGPIPE


_READ = """
import argparse, sys, time
from orthanc_inventory.cli import main
from orthanc_inventory.commands import inputs
def run(arguments):
    with inputs.open_input(arguments, arguments.source) as inventory:
        print(sum(1 for study in inventory.studies()), flush=True)
        if arguments.statistics:
            time.sleep(60)
    return 0
import orthanc_inventory.commands.show
orthanc_inventory.commands.show.run = run
sys.exit(main())
"""


def reading(server: Server, uid: str, folder: Path, *options: str) -> subprocess.Popen[bytes]:
    """Counts the study records of an inventory that is fetched into ``folder``; with --statistics it then rests."""
    return subprocess.Popen(
        [sys.executable, "-c", _READ, "show", uid, "--url", server.url, *options],
        env=environment(TMPDIR=str(folder)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed_signals,
    )


@pytest.mark.parametrize("end", [None, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_is_fetched_is_taken_away_at_the_end(
    make_server: Callable[..., Server], tmp_path: Path, end: signal.Signals | None
) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 3}).start()
    server.store(*archive.files(3))
    summary = server.make()
    folder = tmp_path / "temporary"
    folder.mkdir()
    process = reading(server, summary["SOPInstanceUID"], folder, *(["--statistics"] if end else []))
    assert process.stdout is not None and process.stdout.readline() == b"3\n"
    if end is not None:
        [fetched] = folder.iterdir()
        assert fetched.stat().st_mode & 0o777 == 0o700
        files = {path.name: path.stat() for path in fetched.iterdir()}
        assert set(files) == {f"{uid}.dcm" for uid in summary["InstanceUIDs"]}
        assert {status.st_mode & 0o777 for status in files.values()} == {0o600}
        process.send_signal(end)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (128 + end if end else 0, b"")
    assert list(folder.iterdir()) == []


def test_what_is_fetched_must_be_what_was_made(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server(inventory={"StoreIn": "Directory", "MaxRecordsPerInstance": 3}).start()
    server.store(*archive.files(3))
    summary = server.make()
    folder = tmp_path / "temporary"
    folder.mkdir()
    _, leaf, *_ = summary["InstanceUIDs"]
    [path] = (path for path in server.state_directory.rglob(f"*{leaf}*") if path.is_file())
    content = path.read_bytes()
    for damage, told in ((content[:-1] + b"x", b"with other bytes than its SHA-256 says"), (None, b"1 files of the inventory")):
        path.unlink() if damage is None else path.write_bytes(damage)
        output, errors = (process := reading(server, "latest", folder)).communicate(timeout=60)
        assert (process.returncode, output, errors.count(b"\n")) == (2, b"", 1) and told in errors
        assert list(folder.iterdir()) == []


def test_https_needs_a_certificate_that_is_trusted(tmp_path: Path, make_site: Callable[..., Any]) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test",
         "-addext", "subjectAltName=IP:127.0.0.1", "-out", certificate, "-keyout", key],
        check=True, capture_output=True,
    )
    url, asked = make_site(body=b"[]", certificate=(certificate, key))
    assert "is not trusted (self-signed certificate); give --ca-file" in refused("list", "--url", url, "--user", "a:b")
    assert asked == []
    assert succeeded("list", "--url", url, "--json", "--ca-file", str(certificate)) == "[]\n"
    assert "cannot be reached: " in refused("list", "--url", url.replace("https", "http"))
