"""Fixtures for every suite. BUILD_DIR names the build folder that is tested."""

import os
import pathlib

import pytest

from images.catalog import catalog
from images.registry import PROGRAM, Registry

SOURCE = pathlib.Path(__file__).resolve().parent.parent


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
