"""GetContainerEvents: what happened, once each, in order."""

import threading

import grpc

from cri.pods import Pod
from lib.wait import wait_until

CREATED, STARTED, STOPPED, DELETED = range(4)


class Listener:
    def __init__(self, client):
        self.events = []
        self._stream = client.GetContainerEvents(timeout_s=600)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        try:
            for event in self._stream:
                self.events.append(event)
        except grpc.RpcError:
            pass

    def of(self, container_id):
        return [event.container_event_type for event in self.events
                if event.container_id == container_id]

    def close(self):
        self._stream.cancel()
        self._thread.join(timeout=10)


def test_events_of_a_container_and_its_pod(daemon):
    listener = Listener(daemon.client)
    try:
        pod = Pod(daemon)
        wait_until(lambda: STARTED in listener.of(pod.id), "the pod's start")
        container, _ = pod.run_to_end("sh", "-c", "exit 4")
        wait_until(lambda: STOPPED in listener.of(container.id), "the container's end")
        container.remove()
        wait_until(lambda: DELETED in listener.of(container.id), "the container's removal")
        assert listener.of(container.id) == [CREATED, STARTED, STOPPED, DELETED]
        ended = next(event for event in listener.events if event.container_id == container.id
                     and event.container_event_type == STOPPED)
        assert ended.created_at > 0
        assert ended.pod_sandbox_status.id == pod.id
        assert [status.exit_code for status in ended.containers_statuses] == [4]
        pod.remove()
        wait_until(lambda: DELETED in listener.of(pod.id), "the pod's removal")
        assert listener.of(pod.id) == [CREATED, STARTED, STOPPED, DELETED]
    finally:
        listener.close()


def test_two_listeners_see_the_same(daemon):
    listeners = [Listener(daemon.client), Listener(daemon.client)]
    try:
        pod = Pod(daemon)
        container, _ = pod.run_to_end("true")
        for listener in listeners:
            wait_until(lambda seen=listener: seen.of(container.id) == [CREATED, STARTED, STOPPED],
                       "the same three events")
    finally:
        for listener in listeners:
            listener.close()
