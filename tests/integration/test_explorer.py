"""The ways from Orthanc Explorer to the page, and the files that the page is made of."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from configparser import ConfigParser

import pytest
import requests
from playwright.sync_api import expect

from . import archive
from .browser import DESKTOP, PAGE, PHONE, Explorer
from .server import REPOSITORY, Server
from .test_readme import blocks, section

FOLDER = REPOSITORY / "plugin" / "orthanc_inventory" / "services" / "explorer"


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("view", ["", "#find-studies"], ids=["lookup", "studies"])
def test_a_button_of_orthanc_explorer_opens_the_page(
    shared_server: Server, explore: Callable[..., Explorer], size: tuple[int, int], view: str
) -> None:
    tab = explore(shared_server, size=size)
    tab.page.goto(f"{shared_server.url}/app/explorer.html{view}")
    tab.page.locator("a.inventory-button:visible").click()
    expect(tab.page.get_by_role("heading", name="Inventories", level=1)).to_be_visible()
    assert tab.page.url.startswith(shared_server.url + PAGE)


def test_a_stored_inventory_leads_to_its_summary(make_server: Callable[..., Server], explore: Callable[..., Explorer]) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 6}).start()
    [study, *_] = server.store(*archive.files(5))
    summary = server.make(Purpose="The one")
    assert len(summary["InstanceUIDs"]) > 1
    [leaf] = server.request("POST", "/tools/lookup", data=summary["InstanceUIDs"][1]).json()
    tab = explore(server)
    # The root, then a leaf, which has no summary of its own, from one instance to the next.
    for identifier in (summary["OrthancID"], leaf["ID"]):
        tab.page.goto(f"{server.url}/app/explorer.html#instance?uuid={identifier}")
        tab.page.reload()
        tab.page.get_by_text("Summary of this inventory").click()
        expect(tab.page.get_by_role("heading", level=1)).to_contain_text("The one")
        assert tab.page.url.endswith(f"#/inventories/{summary['SOPInstanceUID']}")
    tab.page.goto(f"{server.url}/app/explorer.html#instance?uuid={study}")
    tab.page.reload()
    expect(tab.page.locator("#dicom-tree")).to_contain_text("PatientName")
    expect(tab.page.get_by_text("Summary of this inventory")).to_have_count(0)


def test_a_plugin_that_is_not_enabled_has_no_button(make_server: Callable[..., Server]) -> None:
    scripts = [
        make_server(inventory={"Enable": enabled}).start().request("GET", "/plugins/explorer.js").text
        for enabled in (True, False)
    ]
    assert ["inventory-button" in script for script in scripts] == [True, False]


def test_the_button_for_orthanc_explorer_2_leads_to_the_page(shared_server: Server) -> None:
    [example] = [block for block in blocks(section("In your browser"), "json") if "CustomButtons" in block]
    buttons = json.loads(example)["OrthancExplorer2"]["UiOptions"]["CustomButtons"]
    # Levels and keys as in the default configuration of Orthanc Explorer 2.
    assert set(buttons) <= {"study", "series", "instance"} and buttons
    for button in [button for level in buttons.values() for button in level]:
        assert set(button) <= {"HttpMethod", "Id", "Tooltip", "Target", "Icon", "Url"} and button["HttpMethod"] == "GET"
        # Relative to the application of Orthanc Explorer 2, which is at /ui/app/.
        address = requests.compat.urljoin(f"{shared_server.url}/ui/app/index.html", button["Url"])
        answer = requests.get(address, timeout=60)
        assert answer.status_code == 200 and "<title>Inventories</title>" in answer.text


@pytest.mark.parametrize("address", ["/inventories/app", "/inventories/app/"])
def test_files_have_their_headers(shared_server: Server, address: str) -> None:
    page = shared_server.request("GET", address)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    # As a browser resolves them, from either address.
    names = re.findall(r'(?:href|src)="(app/[^"]+)"', page.text)
    assert {"app/page.css", "app/page.js"} <= set(names)
    answers = [page, *(requests.get(requests.compat.urljoin(shared_server.url + address, name), timeout=60) for name in names)]
    for answer in answers:
        assert answer.status_code == 200
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'self'" and "unsafe" not in str(policy)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-cache"
    kinds = {answer.url.rpartition(".")[2]: answer.headers["Content-Type"] for answer in answers[1:]}
    assert kinds["js"] == "text/javascript; charset=utf-8" and kinds["css"] == "text/css; charset=utf-8"
    assert kinds["svg"] == "image/svg+xml"


@pytest.mark.parametrize(
    "path",
    [
        "/inventories/app/nothing.js", "/inventories/app/__init__.py", "/inventories/app/..%2f..%2fplugin.py",
        "/inventories/app/%2e%2e/rest/app.py", "/inventories/app/app/app/page.js",
        "/inventories/app/../../../../etc/passwd",
    ],
)  # fmt: skip
def test_nothing_but_its_files_is_served(shared_server: Server, path: str) -> None:
    with requests.Session() as session:
        request = requests.Request("GET", shared_server.url).prepare()
        request.url = shared_server.url + path
        assert session.send(request, timeout=60).status_code in (400, 404)


def test_markup_has_no_script_or_style_of_its_own() -> None:
    markup = (FOLDER / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)", markup) == [] and not re.search(r"<style|\sstyle=|\son\w+=", markup)
    scripts = "".join(path.read_text() for path in FOLDER.glob("*.js"))
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|https?:(?!//www\.w3\.org)", scripts)


def test_all_files_are_installed() -> None:
    configuration = ConfigParser()
    configuration.read(REPOSITORY / "setup.cfg")
    patterns = configuration["options.package_data"]["orthanc_inventory.services.explorer"].split(", ")
    installed = {path for pattern in patterns for path in FOLDER.glob(pattern)}
    assert {path for path in FOLDER.iterdir() if path.is_file() and path.suffix != ".py"} == installed
