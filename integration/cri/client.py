"""A CRI client made of proto/cri/runtime/v1/api.proto. Requests are dictionaries in the JSON form
that crictl reads too."""

import contextlib
import pathlib
import subprocess
import sys

import grpc
from google.protobuf import json_format

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto/cri/runtime/v1/api.proto"


def generate(directory):
    """The Python modules of the proto file, made once per build folder."""
    directory = pathlib.Path(directory)
    made = directory / "api_pb2_grpc.py"
    if not made.exists() or made.stat().st_mtime < PROTO.stat().st_mtime:
        directory.mkdir(parents=True, exist_ok=True)
        subprocess.run(["protoc", f"--proto_path={PROTO.parent}", f"--python_out={directory}",
                        f"--grpc_python_out={directory}",
                        "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin", PROTO.name],
                       check=True)
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))


class Client:
    """client.RunPodSandbox(config=...) returns the response; errors are grpc.RpcError."""

    def __init__(self, socket, timeout_s=120):
        import api_pb2
        import api_pb2_grpc
        self._messages = api_pb2
        self._timeout_s = timeout_s
        self._channel = grpc.insecure_channel(f"unix://{socket}", options=[
            ("grpc.max_receive_message_length", 32 << 20), ("grpc.enable_retries", 0),
            ("grpc.use_local_subchannel_pool", 1)])
        self._methods = {}
        services = {"RuntimeService": api_pb2_grpc.RuntimeServiceStub(self._channel),
                    "ImageService": api_pb2_grpc.ImageServiceStub(self._channel)}
        for name, stub in services.items():
            for method in api_pb2.DESCRIPTOR.services_by_name[name].methods:
                self._methods[method.name] = (getattr(stub, method.name), method.input_type.name)

    def __getattr__(self, name):
        if name not in self._methods:
            raise AttributeError(name)
        call, request_type = self._methods[name]

        def invoke(timeout_s=None, **fields):
            request = json_format.ParseDict(fields, getattr(self._messages, request_type)())
            return call(request, timeout=timeout_s or self._timeout_s)

        return invoke

    def call_raw(self, method, request_bytes, timeout_s=20):
        """Sends bytes that may be no message at all."""
        call = self._channel.unary_unary(method)
        return call(request_bytes, timeout=timeout_s)

    def close(self):
        self._channel.close()


@contextlib.contextmanager
def expect_error(code, *words):
    """The call inside fails with this gRPC code and a text with all these words."""
    try:
        yield
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()}: {error.details()}"
        for word in words:
            assert word in error.details(), f"{word!r} is not in: {error.details()}"
        assert "\n" not in error.details(), error.details()
    else:
        raise AssertionError(f"no error; expected {code}")
