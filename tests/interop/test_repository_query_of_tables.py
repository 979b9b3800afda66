"""Repository Query of an index in PostgreSQL whose tables are read: the answers are those that Orthanc's API gives."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset

from tests.integration.postgresql import PostgreSql
from tests.integration.server import Server
from tests.integration.test_postgresql import source

from .raw_messages import raw_scu
from .repository import RELATIONAL, REPOSITORY, UNIQUE, shared
from .test_repository_query import test_each_level_tells_what_orthanc_tells, test_matching
from .test_repository_query_pages import page, pages
from .test_repository_query_records import (
    test_all_files_of_a_study_or_series_are_in_a_container, test_inventories_are_no_part_of_the_archive,
    test_the_file_of_an_answer_is_that_of_the_object, test_what_is_withdrawn_says_so_at_its_level,
    test_what_was_modified_tells_what_it_was,
)

__all__ = [
    "shared", "test_all_files_of_a_study_or_series_are_in_a_container", "test_each_level_tells_what_orthanc_tells",
    "test_inventories_are_no_part_of_the_archive", "test_matching", "test_the_file_of_an_answer_is_that_of_the_object",
    "test_what_is_withdrawn_says_so_at_its_level", "test_what_was_modified_tells_what_it_was",
]

pytestmark = pytest.mark.indexes("PostgreSQL-by-SQL")


@pytest.mark.parametrize("level", UNIQUE)
def test_pages_are_those_of_the_api(shared: tuple[Server, int], postgresql: PostgreSql, level: str) -> None:
    server, port = shared
    by_tables = _pages(port, level)
    assert source(server).startswith("snapshot: ")
    database = server.configuration["PostgreSQL"]["Database"]
    lines = len(server.log_lines())
    with postgresql.connect("postgres", "postgres") as connection:
        # Connections that Orthanc has already stay.
        connection.execute(f"ALTER DATABASE {database} CONNECTION LIMIT 0".encode())
        try:
            by_api = _pages(port, level)
        finally:
            connection.execute(f"ALTER DATABASE {database} CONNECTION LIMIT -1".encode())
    assert any("the index is read by the plugin API instead" in line for line in server.log_lines()[lines:])
    assert by_api == by_tables and len(by_tables[0]) == {"STUDY": 9, "SERIES": 15, "IMAGE": 39}[level]


def _pages(port: int, level: str) -> list[list[Dataset]]:
    """The whole in one answer, and in pages of two sizes."""
    with raw_scu(port, REPOSITORY, extended=RELATIONAL) as scu:
        answers: list[Any] = [page(scu, level)[0]]
        for size in (2, 5):
            answers.append([answer for part in pages(scu, level, size) for answer in part])
    assert answers[1] == answers[2] == answers[0]
    return answers
