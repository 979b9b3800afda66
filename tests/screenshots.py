"""Pictures of the page for the README, of Orthanc with its demo studies: ``.venv/bin/python -m tests.screenshots``, as root."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from .integration.browser import PHONE, Explorer, launch
from .integration.server import INSTALLATIONS, REPOSITORY, Server

sys.path.insert(0, str(REPOSITORY / "orthanc-config"))

from demo import studies  # noqa: E402

FOLDER = REPOSITORY / "docs"
# What a README shows must load quickly (bytes).
LARGEST = 150_000
SIZE = (1100, 760)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = Server(INSTALLATIONS[0], Path(folder)).start()
        try:
            files = list(studies.files())
            server.store(*files[: len(files) // 2])
            server.make(Purpose="Before the migration")
            server.store(*files[len(files) // 2 :])
            uid = server.make(Base="latest", Purpose="After the migration")["SOPInstanceUID"]
            browser = launch(playwright)
            take(Explorer(browser, server, SIZE), f"#/inventories/{uid}", "inventory")
            take(Explorer(browser, server, SIZE), "#/new", "new-inventory")
            take(Explorer(browser, server, PHONE, "dark"), "#/", "telephone")
            browser.close()
        finally:
            server.kill()


def take(tab: Explorer, view: str, name: str) -> None:
    tab.open(view)
    path = FOLDER / f"{name}.png"
    tab.page.screenshot(path=path)
    tab.check()
    tab.close()
    assert path.stat().st_size < LARGEST, path


if __name__ == "__main__":
    main()
