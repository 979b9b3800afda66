"""Counts and sizes by modality, SOP class, transfer syntax and year, and how they grow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage

from . import archive, foreign
from .server import Server
from .test_import import take


def test_statistics_are_those_of_the_records(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 9}).start()
    server.store(*archive.files(8, 1, 2, 3), archive.file(9, 1, SOPClassUID=MRImageStorage, StudyDate=None))
    summary = server.make()
    found = server.get(f"/inventories/{summary['SOPInstanceUID']}/statistics")
    instances = [
        (study, series, instance)
        for study in server.studies(summary)
        for series in study.InventoriedSeriesSequence
        for instance in series.InventoriedInstancesSequence
    ]
    sizes = [instance.FileAccessSequence[0].FileLengthInContainer for _, _, instance in instances]
    assert (found["Studies"], found["Series"], found["Instances"], found["Size"]) == (9, 17, 49, sum(sizes))
    assert found["Size"] > 49 * 500

    by_modality = Counter(series.Modality for _, series, _ in instances)
    assert {name: entry["Instances"] for name, entry in found["Modalities"].items()} == by_modality == {"CT": 25, "MR": 24}
    series = {name: (entry["Studies"], entry["Series"]) for name, entry in found["Modalities"].items()}
    assert series == {"CT": (9, 9), "MR": (8, 8)}
    classes = {name: entry["Instances"] for name, entry in found["SOPClasses"].items()}
    assert classes == {CTImageStorage: 48, MRImageStorage: 1}
    assert {name: entry["Instances"] for name, entry in found["TransferSyntaxes"].items()} == {ExplicitVRLittleEndian: 49}
    years = Counter((study.StudyDate or "")[:4] for study in server.studies(summary))
    assert {name: entry["Studies"] for name, entry in found["Years"].items()} == years and years[""] == 1
    for group in ("Modalities", "SOPClasses", "TransferSyntaxes", "Years"):
        assert sum(entry["Size"] for entry in found[group].values()) == found["Size"], group


def test_a_study_level_inventory_counts_studies(shared_server: Server) -> None:
    uid = shared_server.make(Level="STUDY")["SOPInstanceUID"]
    found = shared_server.get(f"/inventories/{uid}/statistics")
    assert (found["Studies"], found["Series"], found["Instances"], found["Size"]) == (3, 0, 0, 0)
    assert {name: entry["Studies"] for name, entry in found["Modalities"].items()} == {"CT": 3, "MR": 1}
    assert sorted(found["Years"]) == ["2011", "2012", "2013"] and found["SOPClasses"] == {}


def test_what_is_removed_from_use_is_counted_apart(server: Server) -> None:
    studies = [foreign.study(1), foreign.study(2, RemovedFromOperationalUse="Y"), foreign.study(3)]
    studies[2].InventoriedSeriesSequence[0].InventoriedInstancesSequence[0].RemovedFromOperationalUse = "Y"
    take(server, foreign.encode(foreign.inventory("1.9.99", studies), ImplicitVRLittleEndian))
    found = server.get("/inventories/1.9.99/statistics")
    assert (found["Studies"], found["Series"], found["Instances"], found["Size"]) == (2, 2, 3, 3000)
    assert found["Removed"] == {"Studies": 1, "Series": 1, "Instances": 3}


def test_statistics_are_computed_once(make_server: Callable[..., Server]) -> None:
    text = """
def note(*arguments):
    with open(folder + "/opened", "a") as file:
        print("opened", file=file)
from orthanc_inventory.production.catalogue import Catalogue
at(Catalogue, 'open', always, note)
"""
    server = make_server().start_with(text)
    server.store(*archive.files(2))
    path = f"/inventories/{server.make()['SOPInstanceUID']}/statistics"
    first = server.get(path)
    opened = (server.folder / "opened").read_text()
    assert server.get(path) == first and (server.folder / "opened").read_text() == opened != ""


def test_growth_is_told_by_level_and_scope(server: Server) -> None:
    assert server.get("/inventories/statistics") == []
    stored, _ = server.store(*archive.files(2))
    first, study_level = server.make(), server.make(Level="STUDY")
    server.store(*archive.files(3, 1, 2, 2))
    second = server.make()
    server.delete(f"/studies/{server.get(f'/instances/{stored}/study')['ID']}")
    third = server.make()
    server.get(f"/inventories/{second['SOPInstanceUID']}/statistics")
    found = server.get("/inventories/statistics")
    assert [(group["InventoryLevel"], group["Scope"]) for group in found] == [("INSTANCE", {}), ("STUDY", {})]
    rows = found[0]["Inventories"]
    assert [row["SOPInstanceUID"] for row in rows] == [entry["SOPInstanceUID"] for entry in (first, second, third)]
    assert [(row["Studies"], row["Instances"]) for row in rows] == [(2, 2), (3, 12), (2, 8)]
    assert [row["Growth"] for row in rows] == [
        None, {"Studies": 1, "Series": 4, "Instances": 10}, {"Studies": -1, "Series": -2, "Instances": -4}
    ]
    assert [row["ObjectSize"] is None for row in rows] == [True, False, True]
    assert [row["SOPInstanceUID"] for row in found[1]["Inventories"]] == [study_level["SOPInstanceUID"]]
