"""The image service: pull, list, status, removal, usage, errors."""

import grpc
import pytest

from cri.client import expect_error
from cri.pods import image
from lib.wait import wait_until

LAYERED = image("layered")


@pytest.fixture(autouse=True)
def without_leftover_images(daemon):
    for name in ("layered", "multiarch"):
        daemon.client.RemoveImage(image={"image": image(name)})


def test_pull_status_list_remove(daemon):
    client = daemon.client
    assert not client.ImageStatus(image={"image": LAYERED}).HasField("image")
    reference = client.PullImage(image={"image": LAYERED}).image_ref
    found = client.ImageStatus(image={"image": LAYERED}).image
    assert found.repo_tags == [LAYERED]
    assert len(found.repo_digests) == 1 and found.size > 0
    assert reference in (found.id, found.repo_digests[0])
    for name in (found.id, found.repo_digests[0]):
        assert client.ImageStatus(image={"image": name}).image.id == found.id
    assert found.id in [item.id for item in client.ListImages().images]
    only = client.ListImages(filter={"image": {"image": LAYERED}}).images
    assert daemon.name == "containerd" or [item.id for item in only] == [found.id]

    client.RemoveImage(image={"image": found.id})
    assert not client.ImageStatus(image={"image": LAYERED}).HasField("image")
    client.RemoveImage(image={"image": LAYERED})  # what is gone may be removed again


def test_pull_by_digest(daemon):
    client = daemon.client
    client.PullImage(image={"image": LAYERED})
    digest = client.ImageStatus(image={"image": LAYERED}).image.repo_digests[0]
    client.RemoveImage(image={"image": LAYERED})
    client.PullImage(image={"image": digest})
    found = client.ImageStatus(image={"image": digest}).image
    assert found.repo_digests == [digest] and not found.repo_tags
    client.RemoveImage(image={"image": found.id})


def test_verbose_status_and_user(daemon):
    response = daemon.client.ImageStatus(image={"image": image("settings")}, verbose=True)
    assert response.image.username == "app" or response.image.uid.value == 1000
    assert response.info


def test_layers_lie_over_one_another(daemon, pod):
    daemon.client.PullImage(image={"image": LAYERED})
    container = pod.run("sleep", "1000", image_name="layered")
    assert container.output("cat", "/stack/changed") == "third\n"
    assert container.output("stat", "-c", "%a", "/stack/changed") == "4755\n"
    assert container.output("ls", "/stack/hidden") == "new\n"
    assert container.exec("ls", "/stack/removed").exit_code != 0
    inodes = container.output("stat", "-c", "%h", "/stack/kept", "/stack/link").split()
    assert inodes == ["2", "2"]


def test_image_of_several_architectures(daemon, pod):
    daemon.client.PullImage(image={"image": image("multiarch")})
    container = pod.run("sleep", "1000", image_name="multiarch")
    assert container.exec("ls", "/only-on-arm").exit_code != 0


def test_usage_is_counted(daemon):
    usage = daemon.client.ImageFsInfo().image_filesystems
    assert usage and usage[0].fs_id.mountpoint
    daemon.client.PullImage(image={"image": LAYERED})
    wait_until(lambda: daemon.client.ImageFsInfo().image_filesystems[0].used_bytes.value > 0,
               "used bytes")


@pytest.mark.parametrize("reference", ["registry.test/absent:latest", "registry.test/busybox:no"])
def test_what_the_registry_does_not_have(daemon, reference):
    with expect_error(grpc.StatusCode.NOT_FOUND, reference.split(":")[0]):
        daemon.client.PullImage(image={"image": reference})


@pytest.mark.parametrize("reference", ["", "UPPER/Case", "a@sha256:12", "a b", "x:" + "t" * 200])
def test_reference_that_is_none(daemon, reference):
    with pytest.raises(grpc.RpcError) as error:
        daemon.client.PullImage(image={"image": reference})
    assert error.value.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNKNOWN)
    assert daemon.name != "coracled" or error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_registry_that_does_not_answer(daemon):
    with pytest.raises(grpc.RpcError) as error:
        daemon.client.PullImage(image={"image": "127.0.0.1:1/busybox:latest"})
    assert "127.0.0.1:1" in error.value.details()


def test_image_in_use_can_be_removed_and_pulled_again(daemon, pod):
    daemon.client.PullImage(image={"image": LAYERED})
    container = pod.run("sleep", "1000", image_name="layered")
    daemon.client.RemoveImage(image={"image": LAYERED})
    assert container.output("cat", "/stack/changed") == "third\n"
    daemon.client.PullImage(image={"image": LAYERED})
    assert pod.run("sleep", "1000", image_name="layered").output("cat", "/stack/kept") == "second\n"
