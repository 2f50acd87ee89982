"""load and save, with archives of our builder and read by other tools."""

import gzip
import subprocess
import tarfile

import pytest

from images.builder import digest_of, write_docker_archive, write_oci_layout


def tar_of(directory, path, mode="w"):
    with tarfile.open(path, mode) as archive:
        archive.add(directory, ".")
    return path


@pytest.fixture
def layered(image_catalog):
    return image_catalog["layered"]


def test_docker_archive(tool, layered, tmp_path):
    write_docker_archive(tmp_path / "a.tar", {"name:tag": layered})
    printed = tool("load", "-i", tmp_path / "a.tar").splitlines()
    assert printed == ["docker.io/library/name:tag", digest_of(layered.config_json())]


@pytest.mark.parametrize("form", ["directory", "tar", "tar.gz", "stdin"])
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_oci_layout(tool, layered, tmp_path, form, compression):
    layout = tmp_path / "layout"
    write_oci_layout(layout, {"registry.example/name:tag": layered}, compression)
    if form == "directory":
        tool("load", "-i", layout)
    elif form == "stdin":
        with open(tar_of(layout, tmp_path / "a.tar"), "rb") as archive:
            tool("load", stdin=archive)
    else:
        tool("load", "-i", tar_of(layout, tmp_path / form, "w:gz" if form == "tar.gz" else "w"))
    [image] = tool.list()
    assert image["repoTags"] == ["registry.example/name:tag"]
    assert image["id"] == digest_of(layered.config_json())


def test_several_images_and_an_index(tool, image_catalog, tmp_path):
    foreign, ours = image_catalog["multiarch"]
    write_oci_layout(tmp_path / "layout", {"x/one:1": ours, "x/two:2": [foreign, ours],
                                           "x/three:3": image_catalog["layered"]})
    tool("load", "-i", tmp_path / "layout")
    # Of the index, this machine's image: the same as the first.
    assert sorted(image["repoTags"] for image in tool.list()) == [
        ["docker.io/x/one:1", "docker.io/x/two:2"], ["docker.io/x/three:3"]]


def test_a_tag_alone_needs_a_name(tool, layered, tmp_path):
    write_oci_layout(tmp_path / "layout", {"v1": layered})
    tool("load", "-i", tmp_path / "layout")
    assert tool.list()[0]["repoTags"] == []
    tool("load", "--name", "given/name", "-i", tmp_path / "layout")
    assert tool.list()[0]["repoTags"] == ["docker.io/given/name:v1"]


@pytest.mark.parametrize("form, transport", [("oci", "oci-archive"), ("docker", "docker-archive")])
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_other_tools_read_what_is_saved(tool, registry, layered, tmp_path, form, transport,
                                        compression):
    reference = registry.push(f"save-{compression}", layered, "1", compression)
    tool("pull", reference)
    tool("save", "--format", form, "-o", tmp_path / "a.tar", reference)
    # skopeo checks each digest as it copies.
    subprocess.run(["skopeo", "--insecure-policy", "copy", f"{transport}:{tmp_path}/a.tar",
                    f"dir:{tmp_path}/copied"], check=True, capture_output=True)
    tool("rm", reference)
    assert tool.content() == []
    tool("load", "-i", tmp_path / "a.tar")
    [image] = tool.list()
    assert image["id"] == digest_of(layered.config_json())
    assert image["repoTags"] == [reference]


def test_save_to_a_pipe_and_twice_the_same(tool, registry, tmp_path):
    names = [f"{registry.address}/busybox", f"{registry.address}/layered"]
    for name in names:
        tool("pull", name)
    tool("save", "-o", tmp_path / "a.tar", *names)
    piped = subprocess.run(tool.command("save", *names), check=True, stdout=subprocess.PIPE).stdout
    assert piped == (tmp_path / "a.tar").read_bytes()


def test_a_failed_save_leaves_nothing(tool, registry, tmp_path):
    tool("pull", f"{registry.address}/busybox")
    tool.fails("save", "-o", tmp_path / "a.tar", "no/such:image")
    for blob in (tool.root / "images/blobs/sha256").iterdir():
        if blob.stat().st_size > 100_000:
            blob.write_bytes(gzip.compress(b"damaged"))
    tool.fails("save", "-o", tmp_path / "a.tar", f"{registry.address}/busybox")
    assert not list(tmp_path.glob("*.tar*"))


def test_bad_archives(tool, tmp_path):
    assert "ENOENT" in tool.fails("load", "-i", tmp_path / "missing")
    (tmp_path / "text").write_text("this is not an archive\n" * 100)
    tool.fails("load", "-i", tmp_path / "text")
    (tmp_path / "empty").mkdir()
    assert "neither an OCI layout" in tool.fails("load", "-i", tmp_path / "empty")
    (tmp_path / "empty/index.json").write_text("{")
    assert "index.json: not valid JSON" in tool.fails("load", "-i", tmp_path / "empty")
    assert tool.content() == []
