"""docs/CONFORMANCE.md is as the checklist and the tests are; what it says of them is written by
`make conformance`."""

import re

import pytest

from conformance import checklist

DOCUMENT = checklist.INTEGRATION.parent / "docs" / "CONFORMANCE.md"


@pytest.fixture(scope="module")
def functions():
    return checklist.functions_of_rows(checklist.rows_of_tests())


@pytest.fixture(scope="module")
def rows():
    return checklist.load()[0]


def test_every_row_has_a_test(functions, rows):
    assert [row.number for row in rows] == list(range(1, 151))
    missing = [f"{row.number}: {row.text}" for row in rows if row.number not in functions]
    assert not missing, "\n".join(missing)
    assert set(functions) <= {row.number for row in rows}


def test_the_page_has_every_row_and_names_tests_that_exist(functions, rows):
    written = {}
    for line in DOCUMENT.read_text().splitlines():
        if found := re.match(r"\| (\d+) \| (MUST|SHOULD|MAY|-) \| (.*?) \| (.*?) \|", line):
            written[int(found[1])] = (found[2], found[3].split(" *(")[0], found[4])
    assert {row.number: (row.level, row.text) for row in rows} == \
        {number: fields[:2] for number, fields in written.items()}, "`make conformance` is due"
    existing = {name for names in functions.values() for name in names}
    for number, (_, _, tests) in written.items():
        assert tests, f"row {number} names no test: `make conformance` is due"
        for group in tests.split("; "):
            file, _, names = group.partition(": ")
            for name in names.split(", "):
                assert f"test_{file}.test_{name}" in existing, f"row {number}: no test {name}"
