"""Two modes: what is marked ``long`` runs with ``--long`` alone, and all else in both.

So does what runs on the newest Orthanc, unless it is marked ``newest``: it tells by itself whether that differs from others.
"""

from __future__ import annotations

import faulthandler
import os
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from .integration.server import DEBIAN_SID
from .pynetdicom_reactor import wait_for_reactors

wait_for_reactors()

# No test takes so long (seconds), but for those that are marked long.
_LONGEST = 600.0
_STANDARD_ERROR = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="all versions, all faults, long fuzzing: takes hours")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: runs with --long only; a parameter may be marked, too")
    config.addinivalue_line("markers", "newest: runs on the newest Orthanc without --long, too")
    # That of the process, not the one in which the output of a test is caught.
    with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        config.stash[_STANDARD_ERROR] = os.dup(2)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """A test that hangs ends its process, which says where each thread is; xdist names it and goes on with the others."""
    if item.get_closest_marker("long") is None:
        faulthandler.dump_traceback_later(_LONGEST, exit=True, file=item.config.stash[_STANDARD_ERROR])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not DEBIAN_SID.is_complete:
        if config.getoption("--long"):
            raise pytest.UsageError("--long needs the Orthanc of Debian sid, which could not be installed: see tests/run.sh")
        for item in filter(_is_on_the_newest, items):
            item.add_marker(pytest.mark.skip(reason="Orthanc of Debian sid could not be installed: see tests/run.sh"))
    if config.getoption("--long"):
        return
    chosen = [item for item in items if not _is_long(item)]
    if len(chosen) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if _is_long(item)])
        items[:] = chosen


def _is_long(item: pytest.Item) -> bool:
    if item.get_closest_marker("long") is not None:
        return True
    return _is_on_the_newest(item) and item.get_closest_marker("newest") is None


def _is_on_the_newest(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and any(
        value is DEBIAN_SID for value in (item.callspec.params.values() if hasattr(item, "callspec") else ())
    )


@pytest.fixture
def cases(request: pytest.FixtureRequest) -> Callable[[str, int, int], range]:
    """The numbers of the cases with which a target is fuzzed: so many in CI, and so many with ``--long``."""

    def numbers(target: str, short: int, long: int) -> range:
        number = long if request.config.getoption("--long") else short
        request.node.user_properties.append(("fuzzed", [target, number]))
        return range(number)

    return numbers


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many cases of each target were fuzzed without finding anything."""
    fuzzed: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed"):
        if report.when == "call":
            for name, (target, number) in (entry for entry in report.user_properties if entry[0] == "fuzzed"):
                fuzzed[target] += number
    for target, number in sorted(fuzzed.items()):
        terminalreporter.write_line(f"fuzzed: {number:7} {target}")
    if fuzzed:
        terminalreporter.write_line(f"fuzzed: {fuzzed.total():7} cases in all")
