"""The page of inventories in Chromium, as people use it; everything that they should never meet is collected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Download, Locator, Page, Playwright, Request, expect

from .server import Server
from .waiting import PATIENCE, wait_until

CHROMIUM = "/usr/bin/chromium"
DESKTOP, PHONE = (1200, 900), (360, 740)
PAGE = "/inventories/app/"
_AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text()
_MILLISECONDS = 1000 * PATIENCE

expect.set_options(timeout=_MILLISECONDS)


def launch(playwright: Playwright) -> Browser:
    # Without a sandbox, as the tests run as root.
    return playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


class Explorer:
    """One tab of a browser. ``origin`` is where its requests go to, and no other place."""

    def __init__(
        self,
        browser: Browser,
        server: Server,
        size: tuple[int, int] = DESKTOP,
        scheme: str = "light",
        origin: str = "",
        user: tuple[str, str] | None = None,
    ) -> None:
        self.origin = origin or server.url
        credentials = {"http_credentials": {"username": user[0], "password": user[1]}} if user else {}
        self._context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, reduced_motion="reduce", **credentials
        )
        self._context.set_default_timeout(_MILLISECONDS)
        self.page: Page = self._context.new_page()
        # Errors of scripts and of the Content Security Policy, dialogs, and addresses of requests.
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("dialog", self._dialog)
        self.page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        # That a request was refused is for the page to show.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.problems.append(f"console: {message.text}")

    def _dialog(self, dialog: Dialog) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Request) -> None:
        self.requests.append(request.url)

    def close(self) -> None:
        self._context.close()

    def check(self) -> None:
        """Nothing happened that should not, and all requests went to Orthanc."""
        assert self.problems == []
        strangers = [url for url in self.requests if not url.startswith((f"{self.origin}/", f"blob:{self.origin}/"))]
        assert strangers == [] and self.requests
        assert self.page.locator("img[src=x]").count() == 0

    def check_width(self) -> None:
        """The page does not scroll sideways."""
        width, screen = self.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert width <= screen, f"{self.page.url}: {width} pixels on a screen of {screen}"

    def check_accessibility(self) -> None:
        """Axe finds nothing serious or critical."""
        self.page.evaluate(_AXE)
        results: dict[str, Any] = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert results["passes"], "axe has looked at nothing"
        found = [violation for violation in results["violations"] if violation["impact"] in ("serious", "critical")]
        told = {violation["id"]: [node["html"] for node in violation["nodes"]] for violation in found}
        assert not found, f"{self.page.url}: {json.dumps(told, indent=2)}"

    def open(self, view: str = "#/", address: str = PAGE) -> None:
        """A view, once it has loaded what it shows."""
        self.page.goto(f"{self.origin}{address}{view}")
        self.wait()

    def wait(self) -> None:
        """Until the view of the address has loaded what it shows."""
        is_shown = "document.getElementById('main').dataset.address === location.hash"
        wait_until(lambda: self.page.evaluate(f"{is_shown} && !document.querySelector('[aria-busy=true]')"))

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def link(self, name: str) -> Locator:
        return self.page.get_by_role("link", name=name, exact=True)

    def rows(self, table: str) -> list[list[str]]:
        """The cells of a table, by its caption, once the page has it."""
        rows = self.page.get_by_role("table", name=table, exact=True).locator("tbody tr")
        rows.first.wait_for()
        return [[cell.strip() for cell in row.locator("th, td").all_inner_texts()] for row in rows.all()]

    def start(self) -> str:
        """Sends the form and watches the run to its end; answers the UID of the inventory, whose view is open then."""
        self.button("Start").click()
        self.link("Open the inventory").click()
        self.wait()
        return self.page.url.rpartition("/")[2]

    def download(self, link: Locator) -> bytes:
        with self.page.expect_download() as waiting:
            link.click()
        download: Download = waiting.value
        return Path(download.path()).read_bytes()
