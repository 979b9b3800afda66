"""The page, as people use it: in Chromium, on a screen and on a telephone."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import expect

from orthanc_inventory.dicom.encoder import StudyEncoder
from orthanc_inventory.dicom.inventory import Inventory
from orthanc_inventory.dicom.records import StudyRecord

from . import archive
from .browser import DESKTOP, PHONE, Explorer
from .server import Server
from .test_import import take

MARKUP = "<img src=x onerror=alert(1)>"


@pytest.mark.newest
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_newcomer_makes_an_inventory_and_looks_at_it(
    server: Server, explore: Callable[..., Explorer], size: tuple[int, int]
) -> None:
    server.store(*archive.files(3, 2, 2, 3), archive.file(9, 1, PatientName=MARKUP))
    tab = explore(server, size=size)
    tab.page.goto(f"{server.url}/app/explorer.html")
    tab.page.locator("a.inventory-button:visible").click()
    tab.link("Make the first one").click()
    tab.wait()
    tab.check_width()
    uid = tab.start()
    assert server.get("/inventories") == [uid]
    summary, statistics = server.get(f"/inventories/{uid}"), server.get(f"/inventories/{uid}/statistics")
    expect(tab.page.get_by_role("heading", level=1).locator("..")).to_contain_text("COMPLETE")
    tiles = tab.page.locator(".tiles")
    for name in ("Studies", "Series", "Instances"):
        expect(tiles).to_contain_text(f"{name}{summary[name]}")
    modalities = {name: counts["Instances"] for name, counts in statistics["Modalities"].items()}
    assert {row[0]: int(row[2]) for row in tab.rows("By modality: Instances")} == modalities
    years = {name: counts["Instances"] for name, counts in statistics["Years"].items()}
    assert {row[0]: int(row[2]) for row in tab.rows("By year of study: Instances")} == years
    assert [row[0] for row in tab.rows("By SOP class: Instances")] == ["CT Image Storage"]
    assert [row[0] for row in tab.rows("By transfer syntax: Instances")] == ["Explicit VR Little Endian"]
    tab.page.get_by_label("Count").select_option("Studies")
    assert sorted(int(row[2]) for row in tab.rows("By modality: Studies")) == sorted(
        counts["Studies"] for counts in statistics["Modalities"].values()
    )
    tab.check_width()


@pytest.mark.parametrize("address", ["/inventories/app", "/inventories/app/"])
def test_the_page_stands_with_and_without_a_slash(server: Server, explore: Callable[..., Explorer], address: str) -> None:
    tab = explore(server)
    tab.open("", address)
    expect(tab.page.get_by_text("There is no inventory yet")).to_be_visible()
    tab.link("Status").click()
    expect(tab.page.get_by_text(server.get("/system")["Version"], exact=True)).to_be_visible()
    tab.link("New inventory").click()
    tab.start()
    tab.page.reload()
    expect(tab.page.get_by_text("What is in it")).to_be_visible()


def test_what_came_from_dicom_is_text(server: Server, explore: Callable[..., Explorer]) -> None:
    server.store(
        archive.file(
            1, 1, PatientName=MARKUP, PatientID=MARKUP, StudyDescription=MARKUP, AccessionNumber="<b>1</b>",
            SeriesDescription="<script>alert(1)</script>", StudyID="</td>", ReferringPhysicianName="<svg onload=alert(1)>",
        )
    )  # fmt: skip
    uid = server.make(Purpose=MARKUP, Description="<script>alert(2)</script>")["SOPInstanceUID"]
    tab = explore(server)
    for view in ("", f"#/inventories/{uid}", "#/transactions", f"#/compare/{uid}"):
        tab.open(view)
        expect(tab.page.locator("main")).to_contain_text(MARKUP)
    tab.open(f"#/inventories/{uid}/studies")
    [row] = tab.rows("Studies")
    assert row[1] == row[3] == MARKUP and row[5] == "<b>1</b>" and row[0].startswith("<img src")
    tab.page.get_by_role("table", name="Studies").get_by_role("link").click()
    tab.wait()
    expect(tab.page.locator("main")).to_contain_text("<svg onload")
    tab.page.get_by_text("<script>alert(1)</script>").click()
    expect(tab.page.get_by_role("table", name="Instances")).to_contain_text(archive.uid(1, 1, 1, 1))
    assert tab.page.locator("main img, main script, main b").count() == 0


def test_markup_that_got_into_the_page_could_do_nothing(server: Server, explore: Callable[..., Explorer]) -> None:
    tab = explore(server)
    tab.open()
    with tab.page.expect_console_message(lambda message: "Content Security Policy" in message.text):
        tab.page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<img src=x onerror=alert(1)>')")
    # After this nothing more comes of it.
    tab.page.reload()
    tab.wait()
    assert tab.problems and all("Content Security Policy" in problem for problem in tab.problems)
    tab.problems.clear()


def test_a_run_is_watched_paused_and_resumed(make_server: Callable[..., Server], explore: Callable[..., Explorer]) -> None:
    server = make_server(inventory={"ThrottleDelay": 150}).start_with("halt(5)")
    server.store(*archive.files(10))
    server.begin(Purpose="Alpha")
    server.begin(Purpose="Beta")
    tab = explore(server)
    tab.open()
    first, second = (tab.page.get_by_role("article").filter(has_text=name) for name in ("Alpha", "Beta"))
    expect(first).to_contain_text("Running")
    expect(first).to_contain_text("per second")
    expect(first).to_contain_text("left")
    expect(second).to_contain_text("Waiting")
    first.get_by_role("button", name="Pause").click()
    expect(first).to_contain_text("Paused")
    # Who pressed a button is not thrown back to the beginning of the page.
    expect(first.get_by_role("button", name="Resume")).to_be_focused()
    expect(second).to_contain_text("Running")
    server.let_go()
    first.get_by_role("button", name="Resume").click()
    expect(tab.page.get_by_role("list", name="Inventories").get_by_role("listitem")).to_have_count(2)
    expect(first).to_have_count(0)


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "discarded"])
def test_a_run_is_cancelled(make_server: Callable[..., Server], explore: Callable[..., Explorer], keep: bool) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 6}).start_with("halt(6)")
    server.store(*archive.files(20))
    run = server.begin()
    server.wait_until(run, Studies=6)
    tab = explore(server)
    tab.open(f"#/transactions/{run}")
    tab.button("Cancel …").click()
    tab.button("Let it go on").click()
    assert server.transaction(run)["State"] == "Running"
    tab.button("Cancel …").click()
    tab.button("Cancel and keep what is finished" if keep else "Cancel and discard").click()
    expect(tab.page.get_by_role("article")).to_contain_text("Cancelled")
    assert len(server.get("/inventories")) == keep
    tab.link("Inventories").first.click()
    if keep:
        card = tab.page.get_by_role("list", name="Inventories").get_by_role("listitem")
        expect(card).to_contain_text("PARTIAL")
        expect(card).to_contain_text("the run was cancelled")
    else:
        expect(tab.page.get_by_text("There is no inventory yet")).to_be_visible()


def test_what_was_skipped_is_named_with_the_reason(server: Server, explore: Callable[..., Explorer]) -> None:
    server.store(*archive.files(2))
    # An object without a SOP Class UID cannot be a record.
    [broken] = server.store(archive.encode(archive.dataset(7, 1, 1, 1, SOPClassUID=None)))
    summary = server.make()
    assert summary["InventoryCompletionStatus"] == "PARTIAL"
    [skipped] = server.transaction(summary["TransactionUID"])["Skipped"]
    assert skipped["ID"] == broken
    tab = explore(server)
    for view in ("", f"#/inventories/{summary['SOPInstanceUID']}", "#/transactions"):
        tab.open(view)
        expect(tab.page.locator("main")).to_contain_text("PARTIAL" if view != "#/transactions" else "Done")
        tab.page.get_by_text("1 resource skipped, and why").click()
        expect(tab.page.locator("details li")).to_contain_text(broken)
        expect(tab.page.locator("details li")).to_contain_text(skipped["Reason"])


def test_a_scope_is_counted_before_the_start(server: Server, explore: Callable[..., Explorer]) -> None:
    server.store(*archive.files(12), archive.file(20, 1, Modality="US", PatientName="Doe^Jane"))
    tab = explore(server)
    tab.open("#/new")
    preview = tab.page.get_by_role("group", name="Scope").get_by_role("status")
    tab.button("Count the studies").click()
    expect(preview).to_contain_text("This scope matches 13 studies.")
    tab.page.get_by_label("Patient name").fill("family1*")
    tab.page.get_by_label("Patient name").blur()
    expect(preview).to_contain_text("This scope matches 4 studies.")
    tab.page.get_by_label("Study date from").fill("2011-01-01")
    tab.page.get_by_label("Study date until").fill("2012-12-31")
    tab.page.get_by_label("Study date until").blur()
    expect(preview).to_contain_text("This scope matches 3 studies.")
    tab.page.get_by_label("Modalities").fill("us, ct")
    tab.page.get_by_role("radio", name="Series").check()
    tab.page.get_by_label("Purpose").fill("Part")
    uid = tab.start()
    summary = server.get(f"/inventories/{uid}")
    assert (summary["InventoryLevel"], summary["Studies"], summary["InventoryPurpose"]) == ("SERIES", 3, "Part")
    assert summary["Scope"] == {"PatientName": "family1*", "StudyDate": "20110101-20121231", "ModalitiesInStudy": "US\\CT"}
    expect(tab.page.locator("main")).to_contain_text("patient name family1*")
    expect(tab.page.locator("main")).to_contain_text("study date from 2011-01-01 until 2012-12-31")
    expect(tab.page.locator("main")).to_contain_text("modality US or CT")


def test_what_is_wrong_with_a_scope_stands_beside_it(server: Server, explore: Callable[..., Explorer]) -> None:
    tab = explore(server)
    tab.open("#/new")
    tab.page.get_by_label("Study date from").fill("2020-01-01")
    tab.page.get_by_label("Study date until").fill("2019-01-01")
    tab.page.get_by_label("Study date until").blur()
    scope = tab.page.get_by_role("group", name="Scope")
    expect(scope.get_by_role("alert")).to_contain_text("Scope.StudyDate")
    tab.button("Start").click()
    expect(tab.page.get_by_role("alert")).to_have_count(2)
    assert server.get("/inventories/transactions") == []


def test_an_increment_is_shown_with_its_base_and_growth(server: Server, explore: Callable[..., Explorer]) -> None:
    server.store(*archive.files(4))
    base = server.make(Purpose="The base")
    server.store(archive.file(5, 1), archive.file(6, 1))
    tab = explore(server)
    tab.open("#/new")
    tab.page.get_by_label("Record").select_option("latest")
    uid = tab.start()
    assert server.get(f"/inventories/{uid}")["Base"] == base["SOPInstanceUID"]
    assert [row[1] for row in tab.rows("Growth: Studies")] == ["4", "6"]
    tab.page.get_by_label("Number of").select_option("Instances")
    assert [row[1] for row in tab.rows("Growth: Instances")] == ["4", "6"]
    tab.open("#/new")
    tab.page.get_by_label("Record").select_option(uid)
    assert server.get(f"/inventories/{tab.start()}")["Base"] == uid
    tab.open()
    card = tab.page.locator(f"[data-inventory='{uid}']")
    card.get_by_role("link", name="The base").click()
    expect(tab.page.get_by_role("heading", level=1)).to_contain_text("The base")


def test_an_inventory_is_deleted_after_a_question(server: Server, explore: Callable[..., Explorer]) -> None:
    server.store(*archive.files(2))
    base = server.make()["SOPInstanceUID"]
    server.store(archive.file(5, 1))
    increment = server.make(Base="latest")["SOPInstanceUID"]
    tab = explore(server)
    tab.open()
    cards = tab.page.get_by_role("list", name="Inventories").get_by_role("listitem")
    expect(cards).to_have_count(2)
    cards.last.get_by_role("button", name="Delete …").click()
    tab.button("Keep it").click()
    assert server.get("/inventories") == [base, increment]
    cards.last.get_by_role("button", name="Delete …").click()
    tab.button("Delete").click()
    expect(cards.last.get_by_role("alert")).to_have_text("another inventory incorporates this one; delete that first")
    cards.first.get_by_role("button", name="Delete …").click()
    tab.button("Delete").click()
    expect(cards).to_have_count(1)
    assert server.get("/inventories") == [base]


def test_a_file_that_is_missing_is_told(make_server: Callable[..., Server], explore: Callable[..., Explorer]) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 6}).start()
    server.store(*archive.files(5))
    summary = server.make()
    [leaf] = server.request("POST", "/tools/lookup", data=summary["InstanceUIDs"][-1]).json()
    server.delete(f"/instances/{leaf['ID']}")
    tab = explore(server)
    tab.open(f"#/inventories/{summary['SOPInstanceUID']}")
    expect(tab.page.locator("main")).to_contain_text("Not here are 1 file of this inventory")
    expect(tab.page.get_by_role("region", name="Charts").get_by_role("alert")).to_contain_text("Missing")


def test_studies_are_searched_and_turned_page_by_page(server: Server, explore: Callable[..., Explorer]) -> None:
    encode = StudyEncoder("STUDY").encode
    studies = [
        StudyRecord(
            str(number),
            {
                "StudyInstanceUID": archive.uid(number), "PatientID": f"P{number:04}", "PatientName": f"Müller{number:04}^Anna",
                "StudyDate": f"2020{1 + number % 12:02}01", "ItemInventoryDateTime": "20260101101530.123456+0000",
            },
        )
        for number in range(250)
    ]  # fmt: skip
    attributes = {"InventoryLevel": "STUDY", "InventoryCompletionStatus": "COMPLETE"}
    attributes |= {"ContentDate": "20260101", "ContentTime": "1015"}
    take(server, Inventory("1.9.9", attributes, b"".join(encode(study)[0] for study in studies), 250, 250).encode())
    tab = explore(server)
    tab.open("#/inventories/1.9.9/studies")
    assert [row[1] for row in tab.rows("Studies")] == [f"P{number:04}" for number in range(100)]
    pages = tab.page.get_by_role("navigation", name="Pages of studies")
    expect(pages).to_contain_text("1–100 of 250 studies")
    tab.button("Next").click()
    expect(pages).to_contain_text("101–200 of 250 studies")
    tab.button("Next").click()
    expect(pages).to_contain_text("201–250 of 250 studies")
    assert [row[1] for row in tab.rows("Studies")] == [f"P{number:04}" for number in range(200, 250)]
    expect(tab.button("Next")).to_have_count(0)
    tab.page.get_by_label("Search").fill("müller002")
    expect(pages).to_contain_text("1–10 of 10 studies")
    tab.page.get_by_label("Search").fill("20200301")
    expect(pages).to_contain_text("1–21 of 21 studies")
    assert {row[2] for row in tab.rows("Studies")} == {"2020-03-01"}
    tab.page.get_by_label("Search").fill("nobody")
    expect(tab.page.get_by_text("No study has this.")).to_be_visible()


def test_who_may_only_read_is_told_so(make_server: Callable[..., Server], explore: Callable[..., Explorer]) -> None:
    server = make_server(
        configuration={"AuthenticationEnabled": True, "RegisteredUsers": {"reader": "r", "keeper": "k"}},
        inventory={"Users": {"Read": ["reader", "keeper"], "Manage": ["keeper"]}},
    ).start()
    server.request("POST", "/inventories", data='{"Synchronous": true}', auth=("keeper", "k"))
    tab = explore(server, user=("reader", "r"))
    message = "this user is not among Inventory.Users.Manage"
    tab.open("#/new")
    tab.button("Count the studies").click()
    expect(tab.page.get_by_role("group", name="Scope").get_by_role("alert")).to_have_text(message)
    tab.button("Start").click()
    expect(tab.page.get_by_role("alert").last).to_have_text(message)
    tab.open()
    card = tab.page.get_by_role("list", name="Inventories").get_by_role("listitem")
    card.get_by_role("button", name="Delete …").click()
    tab.button("Delete").click()
    expect(card.get_by_role("alert")).to_have_text(message)


def test_what_is_not_there_is_told(server: Server, explore: Callable[..., Explorer]) -> None:
    tab = explore(server)
    for view in ("#/inventories/2.25.99", "#/inventories/2.25.99/studies", "#/transactions/2.25.99"):
        tab.open("#/status")
        tab.page.goto(f"{server.url}/inventories/app/{view}")
        expect(tab.page.get_by_role("alert")).to_contain_text("there is no")


def test_an_inventory_is_made_with_the_keyboard_alone(server: Server, explore: Callable[..., Explorer]) -> None:
    server.store(*archive.files(2))
    tab = explore(server)
    tab.open()
    tab.page.keyboard.press("Tab")
    expect(tab.link("Skip to the content")).to_be_focused()
    outline = tab.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("#main")).to_be_focused()
    tab.page.keyboard.press("Tab")
    expect(tab.link("Make the first one")).to_be_focused()
    tab.page.keyboard.press("Enter")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("New inventory")
    expect(tab.page.locator("#main")).to_be_focused()
    tab.wait()
    tab.page.keyboard.press("Tab")
    expect(tab.page.get_by_role("radio", name="Instances")).to_be_focused()
    tab.page.keyboard.press("ArrowUp")
    expect(tab.page.get_by_role("radio", name="Series")).to_be_checked()
    tab.button("Start").focus()
    tab.page.keyboard.press("Enter")
    expect(tab.link("Open the inventory")).to_be_visible()
    assert server.get(f"/inventories/{server.get('/inventories')[0]}")["InventoryLevel"] == "SERIES"


def test_the_page_works_behind_a_proxy_that_puts_it_below_a_folder(server: Server, explore: Callable[..., Explorer]) -> None:
    server.store(*archive.files(2))
    with proxy(server, "/pacs/orthanc") as origin:
        tab = explore(server, origin=origin)
        for address in ("/pacs/orthanc/inventories/app/", "/pacs/orthanc/inventories/app"):
            tab.open("#/new", address)
            tab.start()
            expect(tab.page.get_by_text("What is in it")).to_be_visible()
        assert all(request.startswith(f"{origin}/pacs/orthanc/") for request in tab.requests)
    assert len(server.get("/inventories")) == 2


@contextmanager
def proxy(server: Server, folder: str) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(folder):
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=60)
            connection.request(self.command, self.path.removeprefix(folder), body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "keep-alive", "transfer-encoding", "content-length"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_DELETE = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


def test_another_archive_is_chosen_and_shown(make_server: Callable[..., Server], explore: Callable[..., Explorer]) -> None:
    other = make_server(configuration={"DicomAlwaysAllowFind": True, "DicomAet": "OTHER"}).start()
    other.store(*archive.files(3))
    server = make_server(configuration={"DicomModalities": {"pacs": ["OTHER", "127.0.0.1", other.dicom_port]}}).start()
    tab = explore(server)
    tab.open("#/new")
    tab.page.get_by_label("Archive").select_option("Of the modality pacs")
    uid = tab.start()
    assert server.get(f"/inventories/{uid}")["Source"] == {"Modality": "pacs"}
    expect(tab.page.get_by_text("Of the modality pacs")).to_be_visible()
    tab.open("#/")
    expect(tab.page.get_by_text("Of the modality pacs").first).to_be_visible()
