"""The page where it exports, compares and verifies inventories, and shows schedules."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from . import archive
from .browser import DESKTOP, PHONE, Explorer
from .scheduled import noon
from .server import Server

SCHEDULE = {"Name": "nightly", "Mode": "Incremental", "Days": "Monday-Friday", "Hours": ["1-5"], "Every": "1d", "Keep": 2}


def rows(text: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.decode())))


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_an_inventory_is_downloaded(server: Server, explore: Callable[..., Explorer], size: tuple[int, int]) -> None:
    server.store(*archive.files(4, 2, 2, 3), archive.file(9, 1, PatientName="+1 <img src=x onerror=alert(1)>"))
    summary = server.make()
    path = f"/inventories/{summary['SOPInstanceUID']}"
    tab = explore(server, size=size)
    tab.open(f"#{path}")
    tab.check_width()
    for level, name in (("study", "Studies"), ("series", "Series"), ("instance", "Instances")):
        text = tab.download(tab.link(f"{name} as CSV"))
        assert text == server.request("GET", f"{path}/export?format=csv&level={level}").content
        assert len(rows(text)) == summary[name]
        lines = tab.download(tab.link(f"{name} as NDJSON")).splitlines()
        assert len([json.loads(line) for line in lines]) == summary[name]
    studies = {study["0020000D"]["Value"][0] for study in server.get(f"{path}/studies")}
    assert {row["StudyInstanceUID"] for row in rows(tab.download(tab.link("Studies as CSV")))} == studies
    assert tab.download(tab.link("DICOM file of the root")) == server.request("GET", f"{path}/file").content
    assert tab.download(tab.link("ZIP of all files"))[:2] == b"PK"


def test_a_file_that_cannot_be_made_is_told_in_one_line(server: Server, explore: Callable[..., Explorer]) -> None:
    server.store(*archive.files(2))
    uid = server.make()["SOPInstanceUID"]
    tab = explore(server)
    tab.open(f"#/inventories/{uid}")
    # The embedded Python of the tests has no duckdb.
    message = server.error("GET", f"/inventories/{uid}/export?format=parquet&level=study", 503)
    tab.link("Studies as Parquet").click()
    expect(tab.page.get_by_role("alert")).to_have_text(message)
    assert tab.page.url.endswith(uid)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_two_inventories_are_compared(server: Server, explore: Callable[..., Explorer], size: tuple[int, int]) -> None:
    before = server.store(*archive.files(5, 1, 1, 2))
    first = server.make(Purpose="Before")["SOPInstanceUID"]
    server.delete(f"/studies/{server.get(f'/instances/{before[0]}/study')['ID']}")
    server.delete(f"/instances/{before[2]}")
    server.store(archive.file(9, 1, PatientID="<img src=x>"))
    second = server.make(Purpose="After")["SOPInstanceUID"]
    tab = explore(server, size=size)
    tab.open(f"#/inventories/{first}")
    tab.link("Compare").last.click()
    tab.wait()
    tab.page.get_by_label("Second inventory").select_option(second)
    tab.button("Compare").click()
    expect(tab.page.get_by_text("They differ")).to_be_visible()
    path = f"/inventories/{first}/compare/{second}"
    compared = server.get(path)
    columns = ("First", "Second", "Missing", "Extra", "Different")
    assert tab.rows("Totals") == [
        [level, *(str(compared[level][column]) for column in columns)]
        for level in ("Studies", "Series", "Instances")
    ]
    assert compared["Studies"]["Missing"] == compared["Studies"]["Extra"] == 1
    found = tab.rows("Differences")
    assert len(found) == len(compared["Differences"]) and [row[0] for row in found] == [
        difference["Kind"] for difference in compared["Differences"]
    ]
    tab.page.get_by_label("Show").select_option("Extra")
    table = tab.page.get_by_role("table", name="Differences")
    expect(table.locator("tbody tr").filter(has_not_text="Extra")).to_have_count(0)
    expect(table).to_contain_text(archive.uid(9, 1))
    assert {row[0] for row in tab.rows("Differences")} == {"Extra"}
    listed = tab.download(tab.link("All as CSV"))
    assert listed == server.request("GET", f"{path}?format=csv").content and len(rows(listed)) == len(compared["Differences"])
    uids = server.request("GET", f"{path}?format=uids&kind=Missing").content
    assert tab.download(tab.link("UIDs of missing studies")) == uids
    tab.check_width()


def test_the_same_inventories_are_told_to_be_the_same(server: Server, explore: Callable[..., Explorer]) -> None:
    server.store(*archive.files(3))
    first, second = (server.make()["SOPInstanceUID"] for _ in range(2))
    tab = explore(server)
    tab.open(f"#/compare/{first}/{second}")
    expect(tab.page.get_by_text("They are the same; 100 % of the first is in the second.")).to_be_visible()
    expect(tab.page.get_by_role("table", name="Differences")).to_have_count(0)


def test_a_file_is_compared(server: Server, explore: Callable[..., Explorer], tmp_path: Path) -> None:
    server.store(*archive.files(3))
    first = server.make()["SOPInstanceUID"]
    file = tmp_path / "other.dcm"
    server.store(archive.file(4, 1))
    file.write_bytes(server.request("GET", f"/inventories/{server.make()['SOPInstanceUID']}/file").content)
    tab = explore(server)
    tab.open(f"#/compare/{first}")
    tab.page.get_by_label("Or a file").set_input_files(file)
    tab.button("Compare").click()
    expect(tab.page.get_by_text("They differ")).to_be_visible()
    assert tab.rows("Totals")[0] == ["Studies", "3", "4", "0", "1", "0"]
    assert archive.uid(4, 1) in tab.rows("Differences")[0][3]
    # What is dropped takes the place of what was chosen.
    tab.page.evaluate(
        """() => {
            const transfer = new DataTransfer();
            transfer.items.add(new File(['nothing'], 'nothing.csv'));
            document.querySelector('.drop').dispatchEvent(new DragEvent('drop', {dataTransfer: transfer, bubbles: true}));
        }"""
    )
    tab.button("Compare").click()
    message = server.error("POST", f"/inventories/{first}/compare", 400, data=b"nothing")
    expect(tab.page.get_by_role("alert")).to_have_text(message)


def test_the_archive_is_verified(server: Server, explore: Callable[..., Explorer]) -> None:
    stored = server.store(*archive.files(4))
    uid = server.make()["SOPInstanceUID"]
    tab = explore(server)
    tab.open(f"#/inventories/{uid}")
    tab.link("Verify").click()
    tab.button("Verify").click()
    expect(tab.page.get_by_text("Everything is as the inventory says.")).to_be_visible()
    server.delete(f"/instances/{stored[1]}")
    server.store(archive.file(8, 1))
    tab.page.get_by_label("Check of each object").select_option("MD5")
    tab.button("Verify").click()
    expect(tab.page.get_by_role("table", name="Findings")).to_be_visible()
    [run] = [one for one in server.get("/inventories/transactions?expand") if (one["Verification"] or {}).get("Check") == "MD5"]
    path = f"/inventories/transactions/{run['ID']}/findings"
    assert [row[0] for row in tab.rows("Findings")] == [finding["Kind"] for finding in server.get(path)] == ["Missing", "Extra"]
    assert tab.download(tab.link("Findings as CSV")) == server.request("GET", f"{path}?format=csv").content
    assert tab.download(tab.link("UIDs of the studies")) == server.request("GET", f"{path}?format=uids").content
    # It is there again later, and among the runs.
    tab.page.reload()
    tab.wait()
    expect(tab.page.get_by_role("table", name="Findings")).to_be_visible()
    tab.open("#/transactions")
    expect(tab.page.get_by_role("article").filter(has_text="Verification (MD5)")).to_contain_text("1 missing")


def test_schedules_are_shown_and_run(make_server: Callable[..., Server], explore: Callable[..., Explorer]) -> None:
    server = make_server(inventory={"Schedules": [SCHEDULE]})
    server.environment["TZ"] = noon()
    server.start()
    server.store(*archive.files(2))
    tab = explore(server)
    tab.open("#/schedules")
    card = tab.page.get_by_role("list", name="Schedules").get_by_role("listitem")
    expect(card).to_contain_text("nightly")
    expect(card).to_contain_text("Incremental")
    expect(card).to_contain_text("never")
    [schedule] = server.get("/inventories/schedules")
    hour = schedule["NextRun"]
    expect(card).to_contain_text(f"{hour[:4]}-{hour[4:6]}-{hour[6:8]}")
    tab.button("Run now").click()
    expect(tab.link("Open the inventory")).to_be_visible()
    tab.open("#/schedules")
    expect(card).to_contain_text("complete")
    card.get_by_role("link", name="inventory").click()
    expect(tab.page.get_by_text("What is in it")).to_be_visible()
