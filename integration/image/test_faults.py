"""Networks and servers that fail, programs that are killed: an image is whole or not there."""

import contextlib
import json
import signal
import time

import pytest

from image.front import Front


def through(front, reference):
    return front.address + "/" + reference.split("/", 1)[1]


def blob_ranges(front):
    return [headers.get("Range") for headers in front.blob_requests()]


def test_a_cut_transfer_goes_on_where_it_stopped(tool, registry, big):
    cuts = []

    def cut(handler):
        if not handler.is_blob or len(cuts) == 3:
            return False
        status, headers, body = handler.upstream()
        if len(body) < 1 << 20:
            return False
        cuts.append(1)
        handler.pass_on(cut_at=1 << 20)
        return True

    with Front(registry.address, cut) as front:
        tool("pull", through(front, big))
        ranges = [range_ for range_ in blob_ranges(front) if range_]
        assert len(ranges) == 3
        starts = [int(range_.removeprefix("bytes=").rstrip("-")) for range_ in ranges]
        assert starts == sorted(set(starts)) and starts[0] > 0


def test_a_server_without_ranges(tool, registry, big):
    cuts = []

    def cut(handler):
        if handler.is_blob:
            del handler.headers["Range"]
            if not cuts and len(handler.upstream()[2]) > 1 << 20:
                cuts.append(1)
                handler.pass_on(cut_at=1 << 20)
                return True
        return False

    with Front(registry.address, cut) as front:
        tool("pull", through(front, big))
        assert cuts


@pytest.mark.parametrize("start", [0, 77])
def test_a_wrong_range_is_noticed(tool, registry, big, start):
    cuts = []

    def wrong(handler):
        if not handler.is_blob:
            return False
        if handler.headers.get("Range"):
            handler.headers.replace_header("Range", f"bytes={start}-")
            return False
        if not cuts and len(handler.upstream()[2]) > 1 << 20:
            cuts.append(1)
            handler.pass_on(cut_at=1 << 20)
            return True
        return False

    with Front(registry.address, wrong) as front:
        tool("pull", through(front, big))
        assert cuts


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_busy_servers_are_asked_again(tool, registry, status):
    seen = set()

    def busy(handler):
        if handler.path in seen:
            return False
        seen.add(handler.path)
        handler.answer(status, Retry_After="0")
        return True

    with Front(registry.address, busy) as front:
        tool("pull", through(front, f"{registry.address}/busybox"))


def test_a_stalled_transfer_is_given_up(tool, registry, big):
    stalled = []

    def stall(handler):
        if not handler.is_blob or stalled or len(handler.upstream()[2]) < 1 << 20:
            return False
        stalled.append(1)
        status, headers, body = handler.upstream()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:1 << 20])
        handler.wfile.flush()
        time.sleep(8)
        return True

    with Front(registry.address, stall) as front:
        tool("pull", "--progress-timeout", "1", through(front, big))
        assert [range_ for range_ in blob_ranges(front) if range_]


def test_wrong_bytes_are_never_visible(tool, registry):
    def corrupt(handler):
        if not handler.is_blob:
            return False
        status, headers, body = handler.upstream()
        handler.answer(status, body[:-1] + bytes([body[-1] ^ 1]))
        return True

    with Front(registry.address, corrupt) as front:
        problem = tool.fails("pull", through(front, f"{registry.address}/busybox"))
        assert "content has digest sha256:" in problem
        assert tool.list() == []
        front.rule = None
        tool("pull", through(front, f"{registry.address}/busybox"))


def test_a_blob_longer_than_promised(tool, registry):
    def longer(handler):
        if not handler.is_blob:
            return False
        handler.answer(200, handler.upstream()[2] + b"more")
        return True

    with Front(registry.address, longer) as front:
        problem = tool.fails("pull", through(front, f"{registry.address}/busybox"))
        assert "longer than" in problem


def test_an_endless_manifest(tool):
    def endless(handler):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
        return True

    with Front(rule=endless) as front:
        assert "larger than the 4194304 bytes" in tool.fails("pull", f"{front.address}/endless")


def test_endless_redirects(tool):
    def redirect(handler):
        handler.answer(302, Location=handler.path)
        return True

    with Front(rule=redirect) as front:
        assert "more than 5 redirects" in tool.fails("pull", f"{front.address}/loop")


@pytest.mark.parametrize("realm", ["file:///etc/passwd", "http://user:pw@127.0.0.1:1/", "nonsense",
                                   ""])
def test_odd_token_servers(tool, realm):
    def challenge(handler):
        handler.answer(401, WWW_Authenticate=f'Bearer realm="{realm}"')
        return True

    with Front(rule=challenge) as front:
        assert "URL" in tool.fails("pull", "--creds", "user:secret", f"{front.address}/x")


MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DESCRIPTOR = {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 2,
              "digest": "sha256:" + "0" * 64}


@pytest.mark.parametrize("document, media_type", [
    ({"schemaVersion": 2, "config": DESCRIPTOR, "layers": [], "manifests": []}, MANIFEST),
    ({"schemaVersion": 2, "config": DESCRIPTOR, "layers": []}, INDEX),
    ({"schemaVersion": 2, "manifests": []}, MANIFEST),
    ({"schemaVersion": 1, "fsLayers": []}, "application/json"),
    ({"schemaVersion": 2, "config": DESCRIPTOR | {"digest": "sha256:../../x"}, "layers": []},
     MANIFEST),
    ({"schemaVersion": 2, "config": DESCRIPTOR | {"size": -1}, "layers": []}, MANIFEST),
    ({"schemaVersion": 2, "config": DESCRIPTOR | {"size": 1 << 40}, "layers": []}, MANIFEST),
    ({"schemaVersion": 2, "config": DESCRIPTOR, "layers": [DESCRIPTOR] * 300}, MANIFEST),
    ([], MANIFEST), ("text", MANIFEST), (None, MANIFEST)])
def test_odd_manifests(tool, document, media_type):
    def serve(handler):
        handler.answer(200, json.dumps(document).encode(), Content_Type=media_type)
        return True

    with Front(rule=serve) as front:
        tool.fails("pull", f"{front.address}/odd")
        assert tool.list() == [] and tool.content() == []


def wait_for_ingest(tool, process, bytes_):
    """Until a download has so many bytes on disk. One that is complete is no longer there."""
    while process.poll() is None:
        for path in (tool.root / "images/ingest").glob("sha256-*"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_size >= bytes_:
                    return
        time.sleep(0.005)
    raise AssertionError(process.communicate())


def slowly(handler):
    """A blob in pieces, for as long as it takes to interrupt the program."""
    if not handler.is_blob:
        return False
    status, headers, body = handler.upstream()
    handler.send_response(status)
    for name in ("Content-Length", "Content-Range"):
        if name in headers:
            handler.send_header(name, headers[name])
    handler.end_headers()
    for start in range(0, len(body), 1 << 18):
        handler.wfile.write(body[start:start + (1 << 18)])
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("signal_, code", [(signal.SIGINT, 130), (signal.SIGTERM, 130),
                                           (signal.SIGKILL, -9)])
def test_interrupted_pulls_go_on_next_time(tool, registry, big, signal_, code):
    with Front(registry.address, slowly) as front:
        process = tool.start("pull", through(front, big))
        wait_for_ingest(tool, process, 1 << 20)
        process.send_signal(signal_)
        process.communicate()
        assert process.returncode == code
        assert tool.list() == []
        front.rule = None
        front.requests.clear()
        tool("pull", through(front, big))
        assert [range_ for range_ in blob_ranges(front) if range_]
        tool("rm", through(front, big))
        assert tool.content() == []


def test_processes_share_one_download(tool, registry, big):
    with Front(registry.address, slowly) as front:
        processes = [tool.start("pull", through(front, big)) for _ in range(5)]
        for process in processes:
            output = process.communicate()
            assert process.returncode == 0, output
        paths = [path for method, path, _ in front.requests
                 if method == "GET" and "/blobs/" in path]
        assert len(paths) == len(set(paths)) == 2
    assert len(tool.list()) == 1


def test_removal_during_a_pull(tool, registry, big):
    tool("pull", f"{registry.address}/layered")
    with Front(registry.address, slowly) as front:
        process = tool.start("pull", through(front, big))
        wait_for_ingest(tool, process, 1 << 19)
        tool("rm", f"{registry.address}/layered")
        process.communicate()
        assert process.returncode == 0
        tool("rm", through(front, big))
    # What could not be deleted while content came in went afterwards.
    assert tool.content() == []
