"""Every view of the page can be read by everybody: axe-core finds nothing serious, in light and dark, at any width."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import expect

from . import archive
from .browser import DESKTOP, PHONE, Explorer
from .conftest import _name
from .scheduled import noon
from .server import INSTALLATIONS, Server

VIEWS = {
    "inventories": "#/",
    "new": "#/new",
    "transactions": "#/transactions",
    "transaction": "#/transactions/{run}",
    "inventory": "#/inventories/{uid}",
    "partial": "#/inventories/{partial}",
    "studies": "#/inventories/{uid}/studies",
    "study": "#/inventories/{uid}/studies/{study}",
    "verify": "#/inventories/{uid}/verify",
    "compare": "#/compare/{uid}/{partial}",
    "schedules": "#/schedules",
    "status": "#/status",
}
LOOKS = [(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light"), (PHONE, "dark")]


@dataclass
class Filled:
    server: Server
    places: dict[str, str]

    def path(self, view: str) -> str:
        return VIEWS[view].format(**self.places)


@pytest.fixture(scope="module", params=INSTALLATIONS, ids=_name)
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """A full inventory, a partial one with what was skipped, and a run that is paused."""
    server = Server(request.param, tmp_path_factory.mktemp("filled"), inventory={"Schedules": [SCHEDULE]})
    server.environment["TZ"] = noon()
    server.start()
    server.store(*archive.files(12, 1, 2, 2))
    uid = server.make(Purpose="All")["SOPInstanceUID"]
    server.store(archive.encode(archive.dataset(50, 1, 1, 1, SOPClassUID=None)))
    partial = server.make()["SOPInstanceUID"]
    verification = server.request("POST", f"/inventories/{uid}/verify", data='{"Check": "EXISTS", "Synchronous": true}')
    assert verification.status_code == 200, verification.text
    server.stop()
    server.start_with("halt(3)")
    run = server.begin(Purpose="Paused")
    server.wait_until(run, Studies=3)
    server.post(f"/inventories/transactions/{run}/pause")
    yield Filled(server, {"uid": uid, "partial": partial, "study": archive.uid(3, 1), "run": run})
    server.kill()


SCHEDULE = {"Name": "nightly", "Mode": "Incremental", "Days": "Monday-Friday", "Hours": ["1-5"], "Every": "1d", "Keep": 2}


@pytest.mark.parametrize(("size", "scheme"), LOOKS, ids=[f"{size[0]}-{scheme}" for size, scheme in LOOKS])
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_can_be_read_by_everybody(
    filled: Filled, explore: Callable[..., Explorer], view: str, size: tuple[int, int], scheme: str
) -> None:
    tab = explore(filled.server, size=size, scheme=scheme)
    tab.open(filled.path(view))
    for closed in tab.page.locator("summary").all()[:3]:
        closed.click()
    expect(tab.page.get_by_role("alert")).to_have_count(0)
    tab.check_accessibility()
    tab.check_width()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_questions_and_refusals_can_be_read_by_everybody(
    filled: Filled, explore: Callable[..., Explorer], scheme: str
) -> None:
    tab = explore(filled.server, scheme=scheme)
    tab.open("#/")
    tab.button("Delete …").first.click()
    expect(tab.page.get_by_role("dialog")).to_be_visible()
    tab.check_accessibility()
    tab.open("#/new")
    tab.page.get_by_label("Modalities").fill("*?")
    tab.page.get_by_label("Study date from").fill("2030-01-01")
    tab.page.get_by_label("Study date until").fill("2020-01-01")
    tab.button("Start").click()
    expect(tab.page.get_by_role("alert").first).to_be_visible()
    tab.check_accessibility()


def test_what_cannot_be_read_is_found(filled: Filled, explore: Callable[..., Explorer]) -> None:
    tab = explore(filled.server)
    tab.open("#/")
    tab.page.evaluate("document.querySelector('h1').style.color = '#eee'")
    with pytest.raises(AssertionError, match="color-contrast"):
        tab.check_accessibility()
