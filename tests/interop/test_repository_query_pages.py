"""Repository Query over DICOM: answers in parts that follow each other, whatever happens between them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from pydicom.dataset import Dataset

from tests.integration import archive
from tests.integration.conftest import _name
from tests.integration.server import INSTALLATIONS, Server

from .peer import keys, start
from .raw_messages import Answer, RawScu, raw_scu
from .repository import RELATIONAL, REPOSITORY, UNIQUE

MakeServer = Callable[..., Server]


@pytest.fixture(scope="module", params=INSTALLATIONS, ids=_name)
def shared(
    request: pytest.FixtureRequest, server_with: Callable[..., Server], index: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, int]]:
    """Nine studies, 13 series, 19 instances."""

    def make(**arguments: Any) -> Server:
        return server_with(index, request.param, tmp_path_factory.mktemp("shared"), **arguments)

    server, port = start(make)
    server.store(*archive.files(2, 2, 2, 2), *(archive.file(patient, 9, 1) for patient in range(3)))
    yield server, port
    server.kill()


def identifier(level: str, **values: Any) -> Dataset:
    return keys(**{"QueryRetrieveLevel": level, UNIQUE[level]: "", "RecordKey": None, **values})


def page(scu: RawScu, level: str, **values: Any) -> tuple[list[Dataset], int]:
    """The answers, and the final status, after which nothing comes."""
    *answers, final = scu.find(identifier(level, **values))
    assert final.identifier is None and all(answer.status == 0xFF00 for answer in answers)
    return [scu.data_set(answer) for answer in answers], final.status


def pages(scu: RawScu, level: str, size: int, **values: Any) -> Iterator[list[Dataset]]:
    """One after the other, up to the one that is the last."""
    while True:
        answers, status = page(scu, level, MaximumNumberOfRecords=size, **values)
        yield answers
        if status == 0:
            return
        assert status == 0xB001 and len(answers) == size
        values["PriorRecordKey"] = answers[-1].RecordKey


def uids(answers: list[Dataset], level: str) -> list[str]:
    return [answer[UNIQUE[level]].value for answer in answers]


@pytest.mark.parametrize("level", UNIQUE)
def test_pages_of_each_size_give_what_one_query_gives(shared: tuple[Server, int], level: str) -> None:
    with raw_scu(shared[1], REPOSITORY, extended=RELATIONAL) as scu:
        whole, status = page(scu, level)
        assert status == 0 and len(set(uids(whole, level))) == len(whole) == {"STUDY": 7, "SERIES": 11, "IMAGE": 19}[level]
        for size in range(1, len(whole) + 2):
            parts = list(pages(scu, level, size))
            assert [answer for part in parts for answer in part] == whole
            # The last one is not empty: that nothing follows is known before.
            assert len(parts) == -(-len(whole) // size)
        assert scu.is_silent()


def test_the_limit_is_told_only_when_there_is_more(shared: tuple[Server, int]) -> None:
    with raw_scu(shared[1], REPOSITORY, extended=RELATIONAL) as scu:
        for size, expected in ((18, 0xB001), (19, 0), (20, 0), (2**64 - 1, 0), (1, 0xB001)):
            answers, status = page(scu, "IMAGE", MaximumNumberOfRecords=size)
            assert (len(answers), status) == (min(size, 19), expected)
            assert scu.is_silent(0.2)
        # None may be wanted: then it is told whether there is any.
        assert page(scu, "IMAGE", MaximumNumberOfRecords=0) == ([], 0xB001)
        assert page(scu, "IMAGE", MaximumNumberOfRecords=0, SOPInstanceUID="1.2.3") == ([], 0)
        # What does not match does not count.
        assert page(scu, "IMAGE", MaximumNumberOfRecords=8, InstanceNumber="2")[1] == 0
        scu.release()


def test_the_lower_limit_counts(make_server: MakeServer) -> None:
    server, port = start(make_server, dimse={"MaximumRecords": 3})
    server.store(*archive.files(5))
    with raw_scu(port, REPOSITORY) as scu:
        for maximum, expected in ((None, 3), (5, 3), (3, 3), (2, 2)):
            answers, status = page(scu, "STUDY", MaximumNumberOfRecords=maximum)
            assert (len(answers), status) == (expected, 0xB001)
        assert [len(part) for part in pages(scu, "STUDY", 2)] == [2, 2, 1]
        assert page(scu, "STUDY", StudyDate="20110101-20131231")[1] == 0


def test_any_earlier_key_will_do_over_any_association(shared: tuple[Server, int]) -> None:
    with raw_scu(shared[1], REPOSITORY, extended=RELATIONAL) as first:
        whole, _ = page(first, "IMAGE")
        with raw_scu(shared[1], REPOSITORY, extended=RELATIONAL) as second:
            # Both at once.
            parts: tuple[list[Dataset], list[Dataset]] = ([], [])
            for ours, theirs in zip(pages(first, "IMAGE", 4), pages(second, "IMAGE", 4), strict=True):
                parts[0].extend(ours)
                parts[1].extend(theirs)
            assert parts[0] == parts[1] == whole
            for place, answer in enumerate(whole):
                assert page(second, "IMAGE", PriorRecordKey=answer.RecordKey) == (whole[place + 1 :], 0)


def test_the_keys_of_the_later_query_may_be_others(shared: tuple[Server, int]) -> None:
    with raw_scu(shared[1], REPOSITORY, extended=RELATIONAL) as scu:
        whole, _ = page(scu, "IMAGE", InstanceNumber="", PatientID="")
        key = whole[5].RecordKey
        rest, status = page(scu, "IMAGE", PriorRecordKey=key, InstanceNumber="2", PatientID="")
        assert status == 0 and rest == [answer for answer in whole[6:] if answer.InstanceNumber == 2]
        patient, _ = page(scu, "IMAGE", PriorRecordKey=key, InstanceNumber="", PatientID="P0002")
        assert patient == [answer for answer in whole[6:] if answer.PatientID == "P0002"]
        [same] = {answer.StudyInstanceUID for answer in page(scu, "IMAGE", StudyInstanceUID=archive.uid(1, 1))[0]}
        assert same == archive.uid(1, 1)
        for prior in whole:
            found, _ = page(scu, "IMAGE", SOPInstanceUID=whole[5].SOPInstanceUID, PriorRecordKey=prior.RecordKey)
            assert len(found) == (whole.index(prior) < 5)
        # Without a key of its own in the answers.
        without = identifier("IMAGE", PriorRecordKey=key)
        del without.RecordKey
        *answers, final = scu.find(without)
        assert final.status == 0 and uids([scu.data_set(answer) for answer in answers], "IMAGE") == uids(whole[6:], "IMAGE")


def test_what_is_no_record_key(shared: tuple[Server, int]) -> None:
    with raw_scu(shared[1], REPOSITORY, extended=RELATIONAL) as scu:
        by_level = {level: page(scu, level)[0][0].RecordKey for level in UNIQUE}
        assert len(set(map(len, by_level.values()))) == 3
        key = by_level["IMAGE"]
        wrong = [b"\0\0", b"ab" * 32, key[:-2], key + b"\0\0", key[2:], bytes(len(key)), b"\xff" * len(key)]
        wrong += [by_level["STUDY"], by_level["SERIES"]]
        for place in range(len(key)):
            wrong.append(key[:place] + bytes([key[place] ^ 1]) + key[place + 1 :])
        for prior in wrong:
            [answer] = scu.find(identifier("IMAGE", PriorRecordKey=prior))
            assert answer.status == 0xA710 and "PriorRecordKey" in answer.command.ErrorComment
        # An empty one is none: a first page.
        assert len(page(scu, "IMAGE", PriorRecordKey=None)[0]) == 19


def test_what_comes_and_goes_meanwhile(make_server: MakeServer) -> None:
    """What is there all the time is told once; what came behind the place where a query goes on is told, too."""
    server, port = start(make_server)
    stored = dict(zip((archive.uid(patient, 1, 1, 1) for patient in range(1, 31)), server.store(*archive.files(30))))
    numbers = count(100)
    with raw_scu(port, REPOSITORY, extended=RELATIONAL) as scu:
        for level in UNIQUE:
            answers: list[Dataset] = []
            gone: set[str] = set()
            added: set[str] = set()
            for part in pages(scu, level, 3):
                answers += part
                if part:
                    # The very record from which the next query goes on, and one that is not told yet, if there is one.
                    told = [answer[UNIQUE[level]].value for answer in answers]
                    last = next((uid for uid in stored if uid.startswith(f"{told[-1]}.") or uid == told[-1]), None)
                    others = [uid for uid in stored if not any(f"{uid}.".startswith(f"{entry}.") for entry in told)]
                    for uid in filter(None, (last, *others[:1])):
                        server.delete(f"/instances/{stored.pop(uid)}")
                        gone.add(uid)
                patient = next(numbers)
                [stored[archive.uid(patient, 1, 1, 1)]] = server.store(archive.file(patient, 1))
                added.add(archive.uid(patient, 1, 1, 1))
                if len(added) > 12:
                    break
            told = [answer[UNIQUE[level]].value for answer in answers]
            assert len(set(told)) == len(told)
            keys_of = [answer.RecordKey for answer in answers]
            assert keys_of == sorted(keys_of)
            rest, status = page(scu, level, PriorRecordKey=answers[-1].RecordKey)
            told += [answer[UNIQUE[level]].value for answer in rest]
            assert status == 0 and len(set(told)) == len(told)
            there = {uid for uid in stored if uid not in added}
            assert all(any(f"{uid}.".startswith(f"{entry}.") for entry in told) for uid in there)


def test_a_key_outlives_its_record_and_orthanc(make_server: MakeServer) -> None:
    server, port = start(make_server)
    server.store(*archive.files(12, 1, 2, 2))
    with raw_scu(port, REPOSITORY, extended=RELATIONAL) as scu:
        before = {level: page(scu, level)[0] for level in UNIQUE}
        assert [len(answers) for answers in before.values()] == [12, 24, 48]
    for restart in (lambda: (server.stop(), server.start()), server.reset):
        restart()
        with raw_scu(port, REPOSITORY, extended=RELATIONAL) as scu:
            for level, answers in before.items():
                assert page(scu, level)[0] == answers
                assert page(scu, level, PriorRecordKey=answers[7].RecordKey)[0] == answers[8:]
    middle = before["IMAGE"][21]
    with raw_scu(port, REPOSITORY, extended=RELATIONAL) as scu:
        for level, name, path, place in (
            ("IMAGE", "Instance", "instances", 21), ("SERIES", "Series", "series", 10), ("STUDY", "Study", "studies", 5)
        ):
            query = {"Level": name, "Query": {UNIQUE[level]: before[level][place][UNIQUE[level]].value}}
            [entry] = server.post("/tools/find", query)
            server.delete(f"/{path}/{entry}")
            rest, status = page(scu, level, PriorRecordKey=before[level][place].RecordKey)
            assert status == 0 and rest == before[level][place + 1 :]
        # And of its study as well.
        rest, _ = page(scu, "IMAGE", PriorRecordKey=middle.RecordKey)
        assert rest and rest == [answer for answer in before["IMAGE"][22:] if answer in page(scu, "IMAGE")[0]]


def test_what_was_stored_is_found_at_once(make_server: MakeServer) -> None:
    server, port = start(make_server)
    with raw_scu(port, REPOSITORY) as scu:
        assert page(scu, "STUDY") == ([], 0)
        for patient in range(1, 11):
            [identifier] = server.store(archive.file(patient, 1))
            assert len(page(scu, "STUDY")[0]) == patient
        server.delete("/changes")
        server.store(archive.file(11, 1))
        assert len(page(scu, "STUDY")[0]) == 11
        server.delete(f"/instances/{identifier}")
        server.store(archive.file(12, 1))
        server.delete("/changes")
        assert len(page(scu, "STUDY")[0]) == 11
        # It comes, goes and comes again.
        server.store(archive.file(10, 1))
        assert len(page(scu, "STUDY")[0]) == 12


@pytest.mark.parametrize("limit", [1, 3, 40])
def test_limits_of_orthanc_cut_nothing_off(make_server: MakeServer, limit: int) -> None:
    server, port = start(make_server, LimitFindResults=limit, LimitFindInstances=limit)
    server.store(*archive.files(6, 1, 3, 4))
    with raw_scu(port, REPOSITORY, extended=RELATIONAL) as scu:
        for level, number in (("STUDY", 6), ("SERIES", 18), ("IMAGE", 72)):
            answers, status = page(scu, level, **({"SOPClassUID": ""} if level == "IMAGE" else {}))
            assert (len(answers), status) == (number, 0)
            assert len(list(pages(scu, level, 5))) == -(-number // 5)
        assert len(page(scu, "STUDY", PatientID="P000*", ModalitiesInStudy="MR")[0]) == 6
        assert len(page(scu, "SERIES", StudyInstanceUID=archive.uid(1, 1), RemovedFromOperationalUse="N")[0]) == 3


def test_uids_that_cannot_be_looked_for(make_server: MakeServer) -> None:
    """What Orthanc keeps as UIDs may be anything."""
    server, port = start(make_server)
    for number, uid in enumerate(("1.2.*", "1.2.?", "1.2.A", "1.2.3\\1.2.4", "1.2.3 ")):
        server.store(archive.file(number, 1, StudyInstanceUID=uid, SeriesInstanceUID=f"{uid}.5"))
    server.store(archive.file(8, 1, StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.3.5"))
    stored = server.get("/statistics")
    with raw_scu(port, REPOSITORY, extended=RELATIONAL) as scu:
        for level, name in (("STUDY", "Studies"), ("SERIES", "Series"), ("IMAGE", "Instances")):
            answers, status = page(scu, level, PatientID="")
            assert status == 0 and len(answers) == stored[f"Count{name}"]
            assert len({answer.PatientID for answer in answers}) == 6


def test_a_peer_that_goes_away_in_the_middle(make_server: MakeServer) -> None:
    server, port = start(make_server)
    server.store(*archive.files(300, 1, 1, 2))
    for _ in range(5):
        with raw_scu(port, REPOSITORY, extended=RELATIONAL) as scu:
            scu.send(identifier("IMAGE", PatientName=""))
            next(scu.answers())
    with raw_scu(port, REPOSITORY, extended=RELATIONAL) as scu:
        assert len(page(scu, "IMAGE")[0]) == 600
    with socket.create_connection(("127.0.0.1", port)):
        pass


@pytest.mark.parametrize("maximum", [128, 256, 4096, 0])
def test_pdus_are_as_short_as_the_peer_wants(shared: tuple[Server, int], maximum: int) -> None:
    with raw_scu(shared[1], REPOSITORY, extended=RELATIONAL, maximum=maximum) as scu:
        answers: list[Answer] = scu.find(identifier("IMAGE", PatientName="", StudyInstanceUID="", FileAccessSequence=[]))
        assert len(answers) == 20 and scu.longest_pdu <= (maximum or 1 << 20) + 6
        assert len({scu.data_set(answer).SOPInstanceUID for answer in answers[:-1]}) == 19
