"""Pulling from a real registry."""

import json
import subprocess

import pytest

from image.front import Front, TokenServer, basic
from images.builder import Image, Layer, digest_of
from images.registry import Registry


def through(front, reference):
    """The same repository, asked for at the front."""
    return front.address + "/" + reference.split("/", 1)[1]


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_compressions(tool, registry, image_catalog, compression):
    reference = registry.push(f"as-{compression}", image_catalog["layered"], "1", compression)
    printed = tool("pull", reference).splitlines()
    assert printed[0] == reference
    assert printed[-1] == digest_of(image_catalog["layered"].config_json())
    [image] = tool.list()
    assert image["repoTags"] == [reference]
    assert image["repoDigests"] == [printed[1]]
    assert json.loads(tool("inspect", reference))["config"]["config"]["Cmd"] == ["sh"]


def test_short_forms(tool, registry):
    image_id = tool("pull", "-q", f"{registry.address}/busybox").strip()
    assert tool.list()[0]["repoTags"] == [f"{registry.address}/busybox:latest"]
    assert tool("list", "-q").strip() == image_id
    tool("inspect", image_id.removeprefix("sha256:")[:10])


def test_by_digest(tool, registry):
    tool("pull", f"{registry.address}/busybox")
    [digest] = tool.list()[0]["repoDigests"]
    tool("rm", f"{registry.address}/busybox")
    assert tool.list() == [] and tool.content() == []
    tool("pull", digest)
    assert tool.list()[0]["repoTags"] == []
    assert tool.list()[0]["repoDigests"] == [digest]
    wrong = digest[:-4] + "0000"
    assert "status 404" in tool.fails("pull", wrong)


def test_an_index_gives_this_machines_image(tool, registry, image_catalog):
    reference = f"{registry.address}/multiarch"
    foreign, ours = image_catalog["multiarch"]
    assert tool("pull", "-q", reference).strip() == digest_of(ours.config_json())
    tool("pull", "--platform", "linux/arm64", reference)
    assert {image["id"] for image in tool.list()} == {digest_of(ours.config_json()),
                                                      digest_of(foreign.config_json())}
    problem = tool.fails("pull", "--platform", "linux/s390x", reference)
    assert "there is: linux/arm64, linux/amd64" in problem


def test_an_image_for_another_machine_is_refused(tool, registry):
    foreign = Image([Layer().file("a", "").tar()], {}, "arm64")
    reference = registry.push("foreign", foreign)
    assert "image is for linux/arm64" in tool.fails("pull", reference)
    assert tool.list() == []


@pytest.mark.parametrize("reference, problem", [
    ("UPPER", "repository"), ("a:b:c", "repository"), ("https://x/y", "scheme"),
    ("x@sha256:1234", "digest"), ("", "is empty")])
def test_bad_references(tool, reference, problem):
    assert problem in tool.fails("pull", reference)


def test_what_is_not_there(tool, registry):
    assert "status 404" in tool.fails("pull", f"{registry.address}/nothing")
    assert "Couldn't connect" in tool.fails("pull", "127.0.0.1:1/nothing")
    assert "not found" in tool.fails("inspect", "nothing")
    assert tool.list() == [] and tool.content() == []


def test_again_is_cheap_and_follows_the_tag(tool, registry, image_catalog):
    reference = registry.push("moving", image_catalog["busybox"])
    with Front(registry.address) as front:
        first = tool("pull", "-q", through(front, reference)).strip()
        front.requests.clear()
        tool("pull", through(front, reference))
        assert [method for method, _, _ in front.requests] == ["HEAD"]
        registry.push("moving", image_catalog["layered"])
        front.requests.clear()
        second = tool("pull", "-q", through(front, reference)).strip()
        assert second != first
        # The layer that both have is not fetched again: a config and two layers are.
        assert len(front.blob_requests()) == 3
        named = {image["id"]: image["repoTags"] for image in tool.list()}
        assert named == {first: [], second: [through(front, reference)]}


def test_basic_authorization(tool, tmp_path, image_catalog):
    htpasswd = tmp_path / "htpasswd"
    subprocess.run(["htpasswd", "-Bbc", htpasswd, "user", "secret"], check=True,
                   capture_output=True)
    guarded = Registry(tmp_path / "guarded", htpasswd)
    try:
        reference = guarded.push("busybox", image_catalog["busybox"], credentials="user:secret")
        assert "no credentials given" in tool.fails("pull", reference)
        problem = tool.fails("pull", "--creds", "user:wrong", reference)
        assert "not accepted" in problem and "wrong" not in problem
        tool("pull", "--creds", "user:secret", reference)
    finally:
        guarded.close()


def test_anonymous_token(tool, registry):
    with TokenServer(lambda _: True) as tokens, Front(registry.address, tokens.guard()) as front:
        tool("pull", through(front, f"{registry.address}/busybox"))
        [(_, path, headers)] = tokens.requests
        assert "service=test%2C%20registry" in path
        assert "scope=repository%3Abusybox%3Apull" in path
        assert "Authorization" not in headers


def test_token_for_a_user(tool, registry):
    def accepts(handler):
        return handler.headers.get("Authorization") == basic("user", "secret")

    with TokenServer(accepts) as tokens, Front(registry.address, tokens.guard()) as front:
        reference = through(front, f"{registry.address}/busybox")
        assert "status 401" in tool.fails("pull", reference)
        tool("pull", "--creds", "user:secret", reference)
        # The password goes to the token server, and only the token to the registry.
        assert not [1 for _, _, headers in front.requests
                    if headers.get("Authorization", "").startswith("Basic")]


def test_a_token_that_runs_out_is_renewed(tool, registry, big):
    with TokenServer(lambda _: True) as tokens:
        def expire(handler):
            if handler.is_blob and len(tokens.tokens) == 1:
                tokens.tokens[0] = "expired"
                return tokens.guard()(handler)
            return False

        with Front(registry.address, tokens.guard(expire)) as front:
            tool("pull", through(front, big))
            assert len(tokens.tokens) == 2


def test_secrets_do_not_follow_a_redirect(tool, registry):
    with Front(registry.address) as elsewhere, TokenServer(lambda _: True) as tokens:
        def redirect(handler):
            if not handler.is_blob:
                return False
            handler.answer(307, Location=f"http://{elsewhere.address}{handler.path}")
            return True

        with Front(registry.address, tokens.guard(redirect)) as front:
            tool.configure(front.address, f'server = "http://{front.address}"\n'
                                          '[header]\nX-Secret = "yes"\n')
            tool("pull", "--creds", "user:secret",
                 through(front, f"{registry.address}/busybox"))
            assert any("X-Secret" in headers for _, _, headers in front.requests)
            assert len(elsewhere.blob_requests()) == 2
            for _, _, headers in elsewhere.requests:
                assert "Authorization" not in headers and "X-Secret" not in headers


def test_mirrors_in_their_order(tool, registry):
    def broken(handler):
        # Whoever asks for a password: the registry's is not for a mirror.
        handler.answer(401, WWW_Authenticate='Basic realm="mirror"')
        return True

    with Front(rule=broken) as first, Front(registry.address) as second:
        tool.configure("docker.io", 'server = "http://127.0.0.1:1"\n'
                       '[host."http://127.0.0.1:2"]\n'
                       f'[host."http://{first.address}"]\ncapabilities = ["pull", "resolve"]\n'
                       f'[host."http://{second.address}"]\n')
        registry.push("library/mirrored", Image([Layer().file("a", "b").tar()], {}))
        tool("pull", "--creds", "user:secret", "mirrored")
        assert tool.list()[0]["repoTags"] == ["docker.io/library/mirrored:latest"]
        assert first.requests and second.requests
        for _, path, headers in first.requests + second.requests:
            assert path.endswith("?ns=docker.io")
            assert "Authorization" not in headers


def test_when_every_mirror_fails_all_are_named(tool):
    tool.configure("docker.io",
                   'server = "http://127.0.0.1:1"\n[host."http://127.0.0.1:2"]\n')
    problem = tool.fails("pull", "busybox")
    assert "http://127.0.0.1:1/" in problem and "http://127.0.0.1:2/" in problem


def test_a_broken_hosts_file_is_named(tool):
    tool.configure("docker.io", "server = [")
    assert "docker.io/hosts.toml: line 1" in tool.fails("pull", "busybox")


def test_tls(tool, registry, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-keyout", key, "-out", certificate, "-subj", "/CN=test",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    with Front(registry.address, certificate=(certificate, key)) as front:
        reference = f"{front.address}/busybox"
        server = f'server = "https://{front.address}"\n'
        tool.configure(front.address, server)
        assert "certificate" in tool.fails("pull", reference)
        tool.configure(front.address, server + f'ca = "{certificate}"\n')
        tool("pull", reference)
        tool("rm", reference)
        tool.configure(front.address, server + "skip_verify = true\n")
        tool("pull", reference)

        # From TLS to plain text nothing is followed.
        def downgrade(handler):
            handler.answer(307, Location=f"http://{registry.address}{handler.path}")
            return True

        tool("rm", reference)
        front.rule = downgrade
        assert "from https to http" in tool.fails("pull", reference)


def test_an_artifact_is_no_image(tool, registry, tmp_path):
    layout = tmp_path / "artifact"
    blobs = layout / "blobs/sha256"
    blobs.mkdir(parents=True)

    def put(data, media_type):
        (blobs / digest_of(data).removeprefix("sha256:")).write_bytes(data)
        return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}

    manifest_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": manifest_type,
                "config": put(b"{}", "application/vnd.oci.empty.v1+json"),
                "layers": [put(b"x", "application/x-thing")]}
    entry = put(json.dumps(manifest).encode(), manifest_type)
    with Front() as front:
        front.rule = lambda handler: handler.answer(
            200, json.dumps(manifest).encode(), Content_Type=manifest_type,
            Docker_Content_Digest=entry["digest"]) is None
        assert "artifact" in tool.fails("pull", f"{front.address}/thing")
