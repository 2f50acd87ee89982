"""The image builder: what other suites rely on."""

import json
import subprocess

from images.builder import write_docker_archive, write_oci_layout
from images.catalog import layered


def skopeo_inspect(*arguments):
    shown = subprocess.run(["skopeo", "inspect", *arguments], check=True, capture_output=True)
    return json.loads(shown.stdout)


def test_same_input_same_digest(tmp_path):
    for name in ("a", "b"):
        write_oci_layout(tmp_path / name, {"latest": layered()})
    digests = {json.loads((tmp_path / name / "index.json").read_text())["manifests"][0]["digest"]
               for name in ("a", "b")}
    assert len(digests) == 1


def test_other_tools_read_what_is_built(tmp_path):
    write_oci_layout(tmp_path / "layout", {"latest": layered()})
    write_docker_archive(tmp_path / "archive.tar", {"example.org/layered:1": layered()})
    assert len(skopeo_inspect(f"oci:{tmp_path}/layout:latest")["Layers"]) == 3
    assert len(skopeo_inspect(f"docker-archive:{tmp_path}/archive.tar")["Layers"]) == 3
    unpacked = tmp_path / "bundle"
    subprocess.run(["umoci", "unpack", "--image", f"{tmp_path}/layout:latest", unpacked],
                   check=True, capture_output=True)
    stack = unpacked / "rootfs/stack"
    assert (stack / "changed").read_text() == "third\n"
    assert not (stack / "removed").exists()
    assert [path.name for path in (stack / "hidden").iterdir()] == ["new"]


def test_registry_serves_the_catalogue(registry, image_catalog):
    for name in image_catalog:
        shown = skopeo_inspect("--tls-verify=false", f"docker://{registry.address}/{name}:latest")
        assert shown["Os"] == "linux"
