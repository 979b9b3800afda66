"""The command line on files, and what it writes: help, text, tables, progress."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from orthanc_inventory import __version__, cli
from orthanc_inventory.commands import CommandError, client, inputs, peer, transactions
from orthanc_inventory.commands.client import Client, Unreachable
from orthanc_inventory.commands.progress import drawn, duration
from orthanc_inventory.commands.scopes import scope_of
from orthanc_inventory.commands.text import printable, size
from orthanc_inventory.dicom.inventory import Reference

from .inventories import file, save, study

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text()
NAMES = [command.NAME for command in cli.COMMANDS]
STUDIES = [study("1.2", {"1.2.1": ["1.2.1.1", "1.2.1.2"]}), study("1.3", {"1.3.1": ["1.3.1.1"]})]


def ran(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    try:
        code = cli.main(list(arguments))
    except SystemExit as end:
        code = int(end.code or 0)
    return code, *capsys.readouterr()


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """The file of an inventory whose purpose would turn a terminal red."""
    save(tmp_path, {"1.1": file("1.1", STUDIES, InventoryPurpose="A\x1b[31m\x9b2Jü\u202e", TransactionUID="1.9")})
    return tmp_path / "1.1.dcm"


def parser_of(command: ModuleType) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    (peer if command in cli.OVER_DICOM else client).add_arguments(parser)
    return parser


def usage(command: ModuleType) -> str:
    """A command without options."""
    words = [
        f"[{action.metavar}]" if action.nargs in ("?", "*") else str(action.metavar)
        for action in parser_of(command)._actions
        if not action.option_strings
    ]
    return " ".join([command.NAME, *words])


@pytest.mark.parametrize("name", NAMES)
def test_each_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, output, errors = ran(capsys, name, "--help")
    assert (code, errors) == (0, "") and f"usage: orthanc-inventory {name} " in output
    [command] = [command for command in cli.COMMANDS if name == command.NAME]
    assert command.__doc__.splitlines()[0] in output
    of_connection = ("--peer", "--ae-title", "--tls") if command in cli.OVER_DICOM else ("--url", "--user", "--ca-file")
    for option in (*of_connection, "--timeout"):
        assert option in output
    # JSON is there for each, if need be as a format.
    assert "json" in output
    assert all(action.help for action in parser_of(command)._actions)


def test_the_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    code, output, _ = ran(capsys, "--help")
    assert code == 0 and re.findall(r"^    ([a-z]+) ", output, re.MULTILINE) == NAMES
    assert ran(capsys, "--version")[:2] == (0, f"orthanc-inventory {__version__}\n")
    assert ran(capsys)[0] == 2


def test_the_readme_names_every_command() -> None:
    section = README.split("\n## Command line\n", 1)[1].split("\n## ", 1)[0]
    assert re.findall(r"^\| `([a-z]+[^`]*)` \|", section, re.MULTILINE) == [usage(command) for command in cli.COMMANDS]
    for variable in ("ORTHANC_INVENTORY_URL", "ORTHANC_INVENTORY_USER", "ORTHANC_INVENTORY_PASSWORD"):
        assert variable in section
    # Options that the section names are there.
    known = {option for parser in map(parser_of, cli.COMMANDS) for action in parser._actions for option in action.option_strings}
    assert set(re.findall(r"--[a-z][a-z-]*", section)) <= known


def test_a_file_is_shown(inventory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, output, errors = ran(capsys, "show", str(inventory))
    assert (code, errors) == (0, "")
    assert "Purpose:       A\\x1b[31m\\x9b2Jü\\u202e\n" in output and "Instances:     3\n" in output
    summary = json.loads(ran(capsys, "show", str(inventory), "--json", "--statistics")[1])
    expected = {
        "SOPInstanceUID": "1.1", "TransactionUID": "1.9", "InventoryLevel": "INSTANCE", "InventoryCompletionStatus": "COMPLETE",
        "Scope": {}, "Studies": 2, "Series": 2, "Instances": 3, "InstanceUIDs": ["1.1"],
    }
    assert {key: summary[key] for key in expected} == expected
    assert summary["Statistics"]["Modalities"]["CT"]["Instances"] == 3


def test_json_is_ascii(inventory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = ran(capsys, "show", str(inventory), "--json")[1]
    assert output.isascii() and "\x1b" not in output
    assert json.loads(output)["InventoryPurpose"] == "A\x1b[31m\x9b2Jü\u202e"


def test_a_folder_of_files_is_listed(inventory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(inventory.parent, {"1.7": file("1.7", STUDIES[:1], level="STUDY", InventoryCompletionStatus="PARTIAL")})
    code, output, _ = ran(capsys, "list", str(inventory.parent))
    _, first, second = output.splitlines()
    assert code == 0 and first.split()[:5] == ["2026-01-01", "10:15:30", "INSTANCE", "COMPLETE", "2"]
    assert "PARTIAL" in second and "1.7" in second
    listed = json.loads(ran(capsys, "list", str(inventory.parent), "--json")[1])
    assert [summary["SOPInstanceUID"] for summary in listed] == ["1.1", "1.7"]
    (empty := inventory.parent / "empty").mkdir()
    assert ran(capsys, "list", str(empty), "--json")[1] == "[]\n"


def test_a_partial_inventory_is_told_by_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path, {"1.1": file("1.1", STUDIES, InventoryCompletionStatus="PARTIAL")})
    assert ran(capsys, "show", str(tmp_path))[0] == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["show", "none.dcm"], "none.dcm: No such file or directory"),
        (["show", "latest"], "there is no file latest; if it is an inventory of an Orthanc, give --url"),
        (["show"], "INVENTORY"),
        (["show", "x", "--tablet"], "there is no option --tablet"),
        (["show", "x", "y"], "there are too many arguments"),
        (["show", "x", "--stat"], "there is no option --stat"),
        (["list", "none"], "none is no folder"),
        (["create", "--level", "PATIENT"], "--level: invalid choice: 'PATIENT' (choose from "),
        (["create", "--url", "http://h", "--scope", "PatientID"], "--scope must be of the form KEY=VALUE"),
        (["create", "--url", "http://h", "--scope", "A=1", "--scope", "A=2"], "--scope has A twice"),
        (["watch", "a/b", "--url", "http://h"], "ID must be the UID of a transaction"),
        (["list", "--url", "ftp://h"], "the URL must be of the form"),
        (["list", "--url", "http://h/?a=b"], "the URL must be of the form"),
        (["list", "--url", "http://h:99999"], "the URL must be of the form"),
        (["list", "--url", "http://h\r\nX: y"], "the URL must be of the form"),
        (["list", "--url", "https://h", "--ca-file", "none.pem"], "--ca-file none.pem cannot be used: No such file"),
        (["list", "--url", "http://h", "--timeout", "0"], "--timeout must be"),
        (["paint"], "the first argument must be one of create, list, "),
    ],
)
def test_bad_usage_is_told_in_one_line(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ORTHANC_INVENTORY_URL", raising=False)
    code, output, errors = ran(capsys, *arguments)
    assert (code, output) == (2, "") and len(errors.splitlines()) == 1
    assert told in errors


def test_a_file_that_is_no_inventory_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a\x1b[2J.dcm").write_bytes(b"no DICOM")
    code, output, errors = ran(capsys, "show", str(tmp_path / "a\x1b[2J.dcm"))
    assert (code, output) == (2, "") and len(errors.splitlines()) == 1 and "\\x1b[2J.dcm" in errors


def test_a_missing_leaf_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path, {"1.1": file("1.1", STUDIES, [Reference("1.5", "00" * 16)], 1)})
    code, _, errors = ran(capsys, "show", str(tmp_path / "1.1.dcm"))
    assert code == 2 and "the inventory instance 1.5 is not there" in errors


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_encoding_of_a_terminal_will_do(inventory: Path, encoding: str) -> None:
    save(inventory.parent, {"1.1": file("1.1", STUDIES, InventoryPurpose="Grüße 山田")})
    done = subprocess.run(
        [sys.executable, "-m", "orthanc_inventory", "show", str(inventory)], capture_output=True, check=True,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(REPOSITORY / "plugin")},
    )
    expected = {"ascii": "Gr\\xfc\\xdfe \\u5c71\\u7530", "latin-1": "Grüße \\u5c71\\u7530", "utf-8": "Grüße 山田"}[encoding]
    assert expected in done.stdout.decode(encoding)


def test_what_is_told_of_a_terminal_that_is_full(inventory: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "orthanc_inventory", "show", str(inventory)], stdout=full, stderr=subprocess.PIPE, check=False,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY / "plugin")},
        )
    assert done.returncode == 2 and done.stderr == b"orthanc-inventory: [Errno 28] No space left on device\n"


def test_a_closed_output_is_no_error(inventory: Path) -> None:
    for closed, code in ((">&-", 0), ("2>&-", 0), ("no >&- 2>&-", 2)):
        done = subprocess.run(
            ["sh", "-c", f'"$1" -m orthanc_inventory show "$2" {closed}', "sh", sys.executable, inventory], capture_output=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY / "plugin")}, check=False,
        )
        assert (done.returncode, done.stderr) == (code, b"")


def test_printable_text_stays_as_it_is() -> None:
    assert printable("Müller^山田 x") == "Müller^山田 x"
    assert printable("a\nb\r\x00\x7f\x85\u2028\ud800") == "a\\nb\\r\\x00\\x7f\\x85\\u2028\\ud800"


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (31_512, "31.5 kB"), (5 * 10**15, "5000.0 TB")]
)
def test_sizes_are_for_people(count: int, told: str) -> None:
    assert size(count) == told


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3725, "1 h 2 min"), (200_000, "2 d 7 h")]
)
def test_durations_are_for_people(seconds: float, told: str) -> None:
    assert duration(seconds) == told


@pytest.mark.parametrize("columns", [0, 1, 20, 40, 80, 200])
@pytest.mark.parametrize("percent", [None, 0, 50, 100, 120])
def test_the_progress_fits_into_one_line(percent: float | None, columns: int) -> None:
    line = drawn(percent, "running\n, " + "1 min left", columns)
    assert len(line) <= max(columns - 1, 0) and "\n" not in line
    if columns == 200 and percent is not None:
        assert line.count("#") == {0: 0, 50: 15, 100: 30, 120: 30}[int(percent)] and "1 min left" in line


def test_a_transaction_is_told_in_words() -> None:
    running = {
        "State": "Running", "Level": "INSTANCE", "Studies": 1200, "Instances": 45_678, "TotalStudies": 10_000,
        "EffectiveRuntime": 10.0, "Remaining": 75.2,
    }
    told = "running, 1 min 15 s left, 1,200 of 10,000 studies, 45,678 instances, 4,568 instances/s"
    assert transactions.in_words(running) == told
    assert transactions.in_words({**running, "State": "Pending", "TotalStudies": 0, "Remaining": None}) == "pending"
    verification = {"Checked": 100, "Missing": 2, "Damaged": 0, "Different": 1, "Extra": 0}
    told = "running, 1 min 15 s left, 100 checked, 2 missing, 1 different, 10 checked/s"
    assert transactions.in_words({**running, "Verification": verification}) == told


@pytest.mark.parametrize(
    ("found", "code"),
    [({}, 0), ({"Missing": 1}, 1), ({"Damaged": 1}, 1), ({"Different": 1}, 1), ({"Extra": 3, "Later": 3}, 0),
     ({"Extra": 3, "Later": 2}, 1), ({"Extra": None, "Later": None}, 0)],
)
def test_what_came_later_is_no_difference(found: dict[str, int], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    transaction = {"TransactionStatus": "COMPLETE", "TransactionStatusComment": "so", "Verification": {"Checked": 9, **found}}
    nobody = Client("http://127.0.0.1:1")
    assert transactions.finish(nobody, transaction) == code
    told = "the archive is not what the inventory says: so\n" if code else ""
    assert capsys.readouterr().err == told
    assert transactions.finish(nobody, {**transaction, "TransactionStatus": "CANCELED"}) == 1


def test_an_orthanc_that_does_not_come_back_is_given_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(transactions, "_PATIENCE", 0.5)
    with pytest.raises(Unreachable, match="cannot be reached"):
        transactions.follow(Client("http://127.0.0.1:1"), "1.2.3")
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith("trying again")


def test_labels_of_a_scope_are_a_list(tmp_path: Path) -> None:
    (tmp_path / "scope.json").write_text('{"Labels": ["a"], "PatientID": "P"}')
    arguments = argparse.Namespace(scope=["Labels=b", "PatientName=A=B"], scope_json=tmp_path / "scope.json")
    assert scope_of(arguments) == {"Labels": ["a", "b"], "PatientID": "P", "PatientName": "A=B"}
    (tmp_path / "scope.json").write_text("[]")
    with pytest.raises(CommandError, match="must hold a JSON object"):
        scope_of(arguments)


@pytest.mark.parametrize(
    ("source", "url", "remote"),
    [("latest", "http://h", True), ("1.2.3", "http://h", True), ("1.2.3", None, False), ("./1.2.3", "http://h", False)],
)
def test_a_source_is_a_uid_or_a_path(source: str, url: str | None, remote: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORTHANC_INVENTORY_URL", raising=False)
    assert inputs.is_remote(argparse.Namespace(url=url), source) is remote


def test_the_bare_installation_reads_a_file(inventory: Path, tmp_path: Path) -> None:
    """With its dependencies at run time and nothing else."""
    # A copy, as what is left of an earlier build would be installed too.
    sources, environment = tmp_path / "sources", tmp_path / "environment"
    sources.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, sources)
    shutil.copytree(
        REPOSITORY / "plugin", sources / "plugin", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__")
    )
    venv.create(environment, with_pip=True)
    subprocess.run(
        [environment / "bin/pip", "install", "--quiet", "--disable-pip-version-check", sources], check=True, timeout=300
    )

    def output(*command: Any) -> str:
        # Not in the repository, and without its path: what is imported is what was installed.
        variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        return subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=True).stdout

    assert json.loads(output(environment / "bin/orthanc-inventory", "show", inventory, "--json"))["Instances"] == 3
    assert output(environment / "bin/orthanc-inventory", "--version") == f"orthanc-inventory {__version__}\n"
    script = """
import importlib.util, pkgutil, orthanc_inventory
for module in pkgutil.walk_packages(orthanc_inventory.__path__, "orthanc_inventory."):
    if not module.name.endswith("__main__"):
        __import__(module.name)
print([name for name in ("duckdb", "orthanc") if importlib.util.find_spec(name)])
"""
    assert output(environment / "bin/python", "-c", script) == "[]\n"
