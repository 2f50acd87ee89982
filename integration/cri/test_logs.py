"""CRI log files: format, long lines, streams, rotation."""

import re

import grpc
import pytest

from cri.client import expect_error
from lib.wait import wait_until

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d) (stdout|stderr) "
                  r"[FP] .*")


def test_format_and_streams(pod):
    container, _ = pod.run_to_end("sh", "-c", "echo one; echo two >&2; echo; echo ' three '")
    lines = container.log_path.read_text().splitlines()
    assert all(LINE.fullmatch(line) for line in lines), lines
    log = container.log()
    assert [entry for entry in log if entry[0] == "stderr"] == [("stderr", "F", "two")]
    assert [entry for entry in log if entry[0] == "stdout"] == [
        ("stdout", "F", "one"), ("stdout", "F", ""), ("stdout", "F", " three ")]
    assert container.log_path.stat().st_mode & 0o777 in (0o640, 0o600)
    assert container.status().log_path == str(container.log_path)


def test_last_line_without_a_newline(pod):
    container, _ = pod.run_to_end("printf", "abcd")
    assert container.log() == [("stdout", "P", "abcd")]


def test_long_line_is_split_at_16_kib_and_nowhere_else(pod):
    script = "head -c 40000 /dev/zero | tr '\\0' x; echo; seq 1 20000"
    container, _ = pod.run_to_end("sh", "-c", script)
    log = container.log()
    assert [(tag, len(text)) for _, tag, text in log[:3]] == [("P", 16384), ("P", 16384),
                                                              ("F", 40000 - 2 * 16384)]
    assert [text for _, _, text in log[3:]] == [str(n) for n in range(1, 20001)]
    assert {tag for _, tag, _ in log[2:]} == {"F"}


def test_log_is_complete_when_the_container_is_exited(pod):
    for _ in range(5):
        container, _ = pod.run_to_end("seq", "1", "5000")
        assert len(container.log()) == 5000


def test_bytes_that_are_no_text(pod):
    container, _ = pod.run_to_end("printf", "a\\377\\000b\\n")
    assert container.log_path.read_bytes().endswith(b" stdout F a\xff\x00b\n")


def test_rotation(pod, daemon):
    container = pod.run("sh", "-c", "trap 'exit 0' TERM; n=0; while :; do echo $n; n=$((n+1)); "
                                    "[ $((n % 50)) = 0 ] && sleep 0.01; done")
    wait_until(lambda: len(container.log()) > 100, "some lines")
    rotated = container.log_path.with_suffix(".log.1")
    container.log_path.rename(rotated)
    daemon.client.ReopenContainerLog(container_id=container.id)
    assert container.log_path.exists()
    wait_until(lambda: len(container.log()) > 100, "lines in the new file")
    container.stop(timeout=10)
    text = rotated.read_text() + container.log_path.read_text()
    numbers = [int(line.split(" ")[3]) for line in text.splitlines()]
    assert numbers == list(range(len(numbers)))


def test_reopening_the_log_of_a_container_that_does_not_run(pod, daemon):
    container, _ = pod.run_to_end("true")
    with pytest.raises(grpc.RpcError):
        daemon.client.ReopenContainerLog(container_id=container.id)


def test_log_directory_that_was_removed_stops_nothing(pod):
    container = pod.run("sh", "-c", "trap 'exit 9' TERM; while :; do echo x; done")
    wait_until(container.log_path.exists, "the log file")
    container.log_path.unlink()
    container.log_path.parent.rmdir()
    container.stop(timeout=20)
    assert container.status().exit_code == 9


def test_log_path_that_leads_out_of_the_log_directory(pod, daemon):
    if daemon.name != "coracled":
        pytest.skip(f"{daemon.name} follows it")
    with expect_error(grpc.StatusCode.INVALID_ARGUMENT, "log_path"):
        pod.create("true", log_path="../../escaped.log")
