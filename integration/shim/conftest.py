"""Fixtures of the shim's suite."""

import pytest

from shim.containerd import Containerd, pause_image, programs

PROGRAMS = programs()


def pytest_generate_tests(metafunc):
    if "containerd_program" in metafunc.fixturenames:
        metafunc.parametrize("containerd_program", PROGRAMS or [None], scope="session")


@pytest.fixture(scope="session")
def containerd(containerd_program, build_dir, image_catalog, tmp_path_factory):
    if containerd_program is None:
        pytest.skip("containerd is not on PATH and CONTAINERD= does not name it")
    images = {"busybox": image_catalog["busybox"], "pause": pause_image(image_catalog["busybox"])}
    running = Containerd(tmp_path_factory.mktemp("containerd"), PROGRAMS[containerd_program],
                         build_dir, images)
    try:
        running.start()
        running.import_images()
        yield running
    finally:
        running.close()
