"""What the README says is so: its examples run, and its tables are those of the code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from orthanc_inventory.config import KEYS, SCHEDULE_KEYS, Key
from orthanc_inventory.reports.columns import chosen

from . import archive, foreign
from .scheduled import noon
from .server import REPOSITORY, Server, free_port
from .waiting import wait_until

README = (REPOSITORY / "README.md").read_text()


def section(title: str) -> str:
    return README.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_examples_of_the_routes_run(make_server: Callable[..., Server], tmp_path: Path) -> None:
    # The third run is there still when the example cancels it.
    server = make_server().start_with("at(Producer, '_begin', [3], until_interrupted, after=True)")
    server.store(*archive.files(10))
    examples = "\n".join(blocks(section("Routes") + section("Verifying an archive"), "sh"))
    examples = examples.replace("127.0.0.1:8042", f"127.0.0.1:{server.http_port}")
    assert examples.count("curl") == 20
    script = f'curl() {{ command curl --silent --show-error --fail-with-body "$@"; }}\n{examples}'
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{server.log()}"
    assert '"TransactionStatus": "CANCELED"' in done.stdout.replace('":"', '": "') and "InventoryCompletionStatus" in done.stdout
    assert (tmp_path / "inventory.dcm").stat().st_size > 1000
    assert (tmp_path / "series.csv").read_text().startswith("PatientID,Modality\n")


def test_the_examples_of_the_command_line_run(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server().start()
    server.store(*archive.files(3))
    example, _ = blocks(section("Command line"), "sh")
    assert example.count("orthanc-inventory ") == 5
    command = f'orthanc-inventory() {{ PYTHONPATH="{REPOSITORY}/plugin" "{sys.executable}" -m orthanc_inventory "$@"; }}'
    script = f"{command}\n{example}".replace("127.0.0.1:8042", f"127.0.0.1:{server.http_port}")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{server.log()}"
    assert json.loads(done.stdout[done.stdout.index("{") :])["Studies"] == 3


def test_the_examples_of_other_systems_over_dicom_run(make_server: Callable[..., Server], tmp_path: Path) -> None:
    _, example = blocks(section("Command line"), "sh")
    port = free_port()
    modalities = {"us": ["INVENTORY", "127.0.0.1", free_port()]}
    server = make_server(
        configuration={"DicomModalities": modalities}, inventory={"Dimse": {"Enable": True, "Port": port}}
    ).start()
    server.store(*archive.files(3))
    command = f'orthanc-inventory() {{ PYTHONPATH="{REPOSITORY}/plugin" "{sys.executable}" -m orthanc_inventory "$@"; }}'
    script = f"{command}\n{example}".replace("10.0.0.5:104", f"127.0.0.1:{port}")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{server.log()}"
    [uid] = server.get("/inventories")
    assert (tmp_path / "pacs" / f"{uid}.dcm").is_file() and (tmp_path / "all" / f"{uid}.dcm").is_file()
    assert re.search(r"Studies: +3\n", done.stdout)


def test_the_examples_of_another_archive_run(make_server: Callable[..., Server], tmp_path: Path) -> None:
    other = make_server(configuration={"DicomAlwaysAllowFind": True, "DicomAet": "PACS"}).start()
    other.store(*archive.files(3))
    text = section("Another archive")
    [configuration], [example] = blocks(text, "json"), blocks(text, "sh")
    configured = json.loads(configuration.replace("10.0.0.5", "127.0.0.1").replace("104", str(other.dicom_port)))
    server = make_server(configuration=configured).start()
    command = f'orthanc-inventory() {{ PYTHONPATH="{REPOSITORY}/plugin" "{sys.executable}" -m orthanc_inventory "$@"; }}'
    script = f"{command}\n{example}".replace("10.0.0.5:104", f"127.0.0.1:{other.dicom_port}")
    script = script.replace("127.0.0.1:8042", f"127.0.0.1:{server.http_port}")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{server.log()}"
    assert [root["Studies"] for root in server.get("/inventories?expand")] == [3, 0]
    assert re.search(r"Status: +COMPLETE\n", done.stdout) and re.search(r"Studies: +3\n", done.stdout)


def test_the_example_of_an_own_script_runs(make_server: Callable[..., Server], tmp_path: Path) -> None:
    [example] = blocks(section("In your own Orthanc"), "python")
    # In the folder that Orthanc sees, see make_server.
    folder = tmp_path / "orthanc0"
    folder.mkdir()
    script = folder / "own.py"
    script.write_text(example.replace("    ...  # your own work", f'    open({str(folder / "changes")!r}, "a").write(resource)'))
    server = make_server(script=script).start()
    [identifier] = server.store(archive.file(1, 1))
    assert server.make()["Instances"] == 1
    # Orthanc tells of a change some time after it.
    wait_until(lambda: (folder / "changes").exists() and identifier in (folder / "changes").read_text())


def test_the_examples_of_comparing_run(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server().start()
    stored = server.store(*archive.files(3))
    old = server.make()["SOPInstanceUID"]
    server.delete(f"/instances/{stored[0]}")
    new = server.make()["SOPInstanceUID"]
    (tmp_path / "list.csv").write_text("StudyInstanceUID,PatientID\n" + f"{archive.uid(2, 1)},P0002\n")
    examples, commands = blocks(section("Comparing two archives"), "sh")
    script = f"OLD={old} NEW={new}\n" + examples.replace("127.0.0.1:8042", f"127.0.0.1:{server.http_port}")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("curl ", "curl --silent --show-error --fail ")],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )
    assert done.returncode == 0, done.stderr
    decode, lost = json.JSONDecoder().raw_decode, archive.uid(1, 1)
    answer, end = decode(done.stdout)
    assert [entry["StudyInstanceUID"] for entry in answer["Differences"]] == [lost]
    uids, _, rest = done.stdout[end:].strip().partition("\n")
    assert uids == lost and json.loads(rest)["Coverage"] == 1 / 3
    assert lost in (tmp_path / "differences.csv").read_text()
    for name, uid in (("old.dcm", old), ("new.dcm", new)):
        (tmp_path / name).write_bytes(server.request("GET", f"/inventories/{uid}/file").content)
    for line in commands.splitlines():
        command = f'orthanc-inventory() {{ PYTHONPATH="{REPOSITORY}/plugin" "{sys.executable}" -m orthanc_inventory "$@"; }}; {line}'
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and lost in done.stdout and not done.stderr, done.stderr


def test_the_table_of_the_configuration_is_that_of_the_code() -> None:
    def defaults(keys: Any, above: str = "") -> Iterator[tuple[str, str]]:
        for name, key in keys.items():
            if isinstance(key, Key):
                yield above + name, f"`{json.dumps(key.default)}`"
            else:
                yield from defaults(key, f"{above}{name}.")

    rows = re.findall(r"^\| (`[^|]*) \| ?([^|]*) \|", section("Configuration"), re.MULTILINE)
    documented = {name: default for cell, default in rows for name in re.findall(r"`([^`]+)`", cell)}
    known = dict(defaults(KEYS))
    for name, default in documented.items():
        # Sections without effect so far stand there without their keys and defaults.
        assert (known.get(name) == default) if default else any(key.split(".")[0] == name for key in known), name
    assert {key.split(".")[0] for key in known} == {name.split(".")[0] for name in documented}


def test_the_table_of_a_schedule_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([^|]*)` \|", section("Schedules"), re.MULTILINE)
    assert rows == [(name, json.dumps(key.default)) for name, key in SCHEDULE_KEYS.items()]


def test_the_example_of_the_schedules_runs(make_server: Callable[..., Server]) -> None:
    [example] = blocks(section("Schedules"), "json")
    server = make_server(inventory=json.loads(example)["Inventory"])
    server.environment["TZ"] = noon()
    server.start()
    assert [schedule["Name"] for schedule in server.get("/inventories/schedules")] == ["weekly", "nightly"]
    [commands] = blocks(section("Schedules"), "sh")
    script = commands.replace("127.0.0.1:8042", f"127.0.0.1:{server.http_port}").replace("curl", "curl --fail-with-body")
    subprocess.run(["bash", "-euc", script], capture_output=True, timeout=60, check=True)
    assert [entry["Schedule"] for entry in server.get("/inventories/transactions?expand")] == ["nightly"]


def test_the_examples_over_dicom_run(make_server: Callable[..., Server], tmp_path: Path) -> None:
    text = section("Over DICOM")
    [configuration], [commands], programs = (blocks(text, language) for language in ("json", "sh", "python"))
    configured, port = json.loads(configuration), free_port()
    inventory = configured.pop("Inventory")
    inventory["Dimse"]["Port"] = port
    server = make_server(configuration=configured, inventory=inventory).start()
    server.store(*archive.files(3))
    own = server.make()["SOPInstanceUID"]
    (tmp_path / "inventory.dcm").write_bytes(foreign.encode(foreign.inventory("1.9.1", [foreign.study(1)])))
    said = []
    for command in (["bash", "-euo", "pipefail", "-c", commands], *([sys.executable, "-c", program] for program in programs)):
        command[-1] = command[-1].replace("11113", str(port))
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{server.log()}"
        said.append(done.stdout.split())
    assert said[1:3] == [["FF00", "0000"], ["PROCESSING", "COMPLETE", "COMPLETE", server.get("/inventories")[-1]]]
    assert (tmp_path / f"{own}.dcm").is_file() and (tmp_path / "1.9.1.dcm").is_file()
    # More than fit into one part.
    assert sorted(said[3]) == [archive.uid(patient, 1, 1, 1) for patient in (1, 2, 3)]
    server.wait_for_line("B001H after 2 pending")
    server.wait_for_line("0000H after 1 pending")


def test_the_examples_over_dicomweb_run(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server().start()
    server.store(*archive.files(3))
    own = server.make(Scope={"ModalitiesInStudy": "CT"})["SOPInstanceUID"]
    [examples] = blocks(section("Over DICOMweb"), "sh")
    assert examples.count("curl") == 7
    script = f'curl() {{ command curl --silent --show-error --fail-with-body "$@"; }}\n{examples}'
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("127.0.0.1:8042", f"127.0.0.1:{server.http_port}")],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{server.log()}"
    # Two searches that find it, two forms of it, and the answer to its storage.
    assert done.stdout.count(own) == 5 and "NativeDicomModel" in done.stdout
    assert (tmp_path / "inventory.dcm").read_bytes() == server.request("GET", f"/inventories/{own}/file").content


def test_the_table_of_the_routes_is_that_of_the_code(shared_server: Server) -> None:
    rows = re.findall(r"^\| `(GET|POST|DELETE) (/[^`?]*)[^`]*` \|", section("Routes"), re.MULTILINE)
    paths = shared_server.get("/inventories/openapi.json")["paths"]
    assert sorted(rows) == sorted((method.upper(), path) for path, methods in paths.items() for method in methods)


def test_the_examples_of_exports_run(shared_server: Server, tmp_path: Path) -> None:
    uid = shared_server.make()["SOPInstanceUID"]
    (tmp_path / "inventory.dcm").write_bytes(shared_server.request("GET", f"/inventories/{uid}/file").content)
    [commands], [query] = blocks(section("Exports"), "sh"), blocks(section("Exports"), "python")
    function = f'orthanc-inventory() {{ PYTHONPATH="{REPOSITORY}/plugin" "{sys.executable}" -m orthanc_inventory "$@"; }}'
    for command in (["bash", "-euo", "pipefail", "-c", f"{function}\n{commands}"], [sys.executable, "-c", query]):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "instances.csv").read_text().count("\n") == 5 and "MR" in done.stdout


def test_the_table_of_columns_is_that_of_the_code() -> None:
    text = (REPOSITORY / "CONFORMANCE.md").read_text().split("\n## Exports\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| (\w+) \| (integer|text) \| ([a-z, ]+) \|$", text, re.MULTILINE)
    for level, name in (("STUDY", "studies"), ("SERIES", "series"), ("INSTANCE", "instances")):
        documented = [(keyword, kind == "integer") for keyword, kind, levels in rows if name in levels.split(", ")]
        assert documented == [(column.keyword, column.integer) for column in chosen(level, [])]


def test_files_that_the_readme_names_exist() -> None:
    for target in re.findall(r"\]\(([^):#]+)(?:#[^)]*)?\)", README):
        assert (REPOSITORY / target).is_file(), target
