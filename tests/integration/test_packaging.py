"""The package as others install it: whole, and at work in an Orthanc that knows nothing of this folder."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import orthanc_inventory

from . import archive
from .server import PACKAGES, REPOSITORY, Server

PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
# Of the standard's build interface (PEP 517): pip itself makes no sdist.
_SDIST = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"


def run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made from what is in the sdist, as an index would get it: so that nothing is missing there either."""
    folder = tmp_path_factory.mktemp("package")
    # Not in the checkout, into which the build writes.
    source, sdist = folder / "source", folder / "sdist"
    shutil.copytree(REPOSITORY, source, ignore=shutil.ignore_patterns(".*", "tests", "build", "*.egg-info", "__pycache__"))
    run(sys.executable, "-c", _SDIST, str(sdist), cwd=source)
    [packed] = sdist.glob("orthanc?inventory-*.tar.gz")
    run(*PIP, "wheel", "--no-deps", "--wheel-dir", str(folder), str(packed))
    with tarfile.open(packed) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "CONFORMANCE.md", "setup.cfg", "pyproject.toml"} <= names
    [wheel] = folder.glob("*.whl")
    return wheel


def test_the_wheel_has_every_file_of_the_plugin(wheel: Path) -> None:
    plugin = REPOSITORY / "plugin"
    there = {
        str(path.relative_to(plugin))
        for path in plugin.rglob("*")
        if path.is_file() and not {"__pycache__", "orthanc_inventory.egg-info", "build"} & set(path.relative_to(plugin).parts)
    }
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        [metadata] = [file.read(name).decode() for name in names if name.endswith(".dist-info/METADATA")]
        [points] = [file.read(name).decode() for name in names if name.endswith(".dist-info/entry_points.txt")]
    assert {name for name in names if ".dist-info/" not in name} == there
    assert any(name.startswith("orthanc_inventory/services/explorer/") and name.endswith(".css") for name in there)
    assert any(".dist-info/" in name and name.endswith("LICENSE") for name in names)
    assert f"\nVersion: {orthanc_inventory.__version__}\n" in metadata and "AGPL-3.0-or-later" in metadata
    assert "orthanc-inventory = orthanc_inventory.cli:main" in points


def test_an_installed_package_makes_inventories(make_server: Callable[..., Server], wheel: Path, tmp_path: Path) -> None:
    # In the folder that Orthanc sees, see make_server.
    installed = tmp_path / "orthanc0" / "site-packages"
    run(*PIP, "install", "--no-deps", "--target", str(installed), str(wheel))
    server = make_server(script=installed / "inventory_plugin.py")
    server.environment = {"PYTHONPATH": f"{installed}:{PACKAGES}"}
    server.start()
    server.store(*archive.files(2))
    assert server.make()["Instances"] == 2
    assert server.get("/inventories/status")["Version"] == orthanc_inventory.__version__
    page = server.request("GET", "/inventories/app/")
    assert page.status_code == 200
    for file in re.findall(r'(?:src|href)="([\w.]+\.(?:js|css|svg))"', page.text):
        assert server.request("GET", f"/inventories/app/{file}").status_code == 200, file
    command = [sys.executable, "-m", "orthanc_inventory", "list", "--url", server.url]
    environment = {"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and server.get("/inventories")[0] in done.stdout, done.stderr


def test_the_version_stands_in_one_place() -> None:
    version = orthanc_inventory.__version__
    assert re.search(rf"^## {re.escape(version)}$", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    stated = re.compile(rf"(?<![\d.]){re.escape(version)}(?![\d.])")
    files = [path for path in (REPOSITORY / "plugin").rglob("*") if path.suffix in {".py", ".js", ".html", ".css"}]
    files += [REPOSITORY / name for name in ("setup.cfg", "pyproject.toml", "README.md", "CONFORMANCE.md", "docker-compose.yml")]
    assert [path.name for path in files if stated.search(path.read_text())] == ["__init__.py"]
