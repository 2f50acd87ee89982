"""Fixtures for every suite. BUILD_DIR names the build folder that is tested."""

import json
import os
import pathlib

import pytest

from images.catalog import catalog
from images.registry import PROGRAM, Registry

SOURCE = pathlib.Path(__file__).resolve().parent.parent


def pytest_addoption(parser):
    parser.addoption("--judge", action="store_true",
                     help="run with a peer what it is known to do otherwise, too")
    parser.addoption("--rows-to", type=pathlib.Path,
                     help="a JSON file for the tests and their rows of the checklist")


def rows_of(item):
    return sorted({row for mark in item.iter_markers("checklist") for row in mark.args})


def pytest_collection_modifyitems(config, items):
    """The rows of the checklist that a test shows stand in its JUnit report."""
    for item in items:
        if rows := rows_of(item):
            item.user_properties.append(("checklist", " ".join(map(str, rows))))
    if file := config.getoption("--rows-to"):
        file.write_text(json.dumps({item.nodeid: rows_of(item) for item in items}))


@pytest.fixture(scope="session")
def build_dir():
    directory = pathlib.Path(os.environ.get("BUILD_DIR", SOURCE / "build/release")).resolve()
    if not (directory / "bin").is_dir():
        pytest.exit(f"{directory}/bin does not exist: build first, or set BUILD_DIR", 2)
    return directory


@pytest.fixture(scope="session")
def image_catalog(build_dir):
    """Repository name: the image the tests know under that name."""
    return catalog(build_dir / "bin/probe")


@pytest.fixture(scope="session")
def registry(tmp_path_factory, image_catalog):
    """A registry with every image of the catalogue as ADDRESS/NAME:latest."""
    if PROGRAM is None:
        pytest.skip("docker-registry is not installed")
    running = Registry(tmp_path_factory.mktemp("registry"))
    try:
        for name, image in image_catalog.items():
            running.push(name, image)
        yield running
    finally:
        running.close()
