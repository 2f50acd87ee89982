"""Builds container images offline and deterministically: the same input gives the same digests.

    image = Image([layer.tar(), ...], {"Env": [...], "Cmd": [...]})
    write_oci_layout(directory, {"latest": image})     # what `skopeo copy oci:DIR:TAG` reads
    write_docker_archive(path, {"name:tag": image})    # what `docker load` reads
"""

import gzip
import hashlib
import io
import json
import pathlib
import subprocess
import tarfile
from dataclasses import dataclass, field

CREATED = "2026-01-01T00:00:00Z"
OCI = "application/vnd.oci.image"
COMPRESSIONS = {"none": "", "gzip": "+gzip", "zstd": "+zstd"}


def digest_of(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Layer:
    """A tar of changes; parents are made as needed, every time stamp is 0."""

    def __init__(self):
        self._buffer = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._buffer, mode="w", format=tarfile.PAX_FORMAT)
        self._directories = set()

    def _add(self, path, kind, mode, **attributes):
        parent = str(pathlib.PurePath(path).parent)
        if parent not in (".", "/"):
            self.directory(parent)
        entry = tarfile.TarInfo(path.strip("/"))
        entry.type, entry.mode = kind, mode
        content = attributes.pop("content", b"")
        for name, value in attributes.items():
            setattr(entry, name, value)
        entry.size = len(content)
        self._tar.addfile(entry, io.BytesIO(content))
        return self

    def directory(self, path, mode=0o755, **attributes):
        path = path.strip("/")
        if path not in self._directories:
            self._directories.add(path)
            self._add(path, tarfile.DIRTYPE, mode, **attributes)
        return self

    def file(self, path, content, mode=0o644, **attributes):
        content = content.encode() if isinstance(content, str) else content
        return self._add(path, tarfile.REGTYPE, mode, content=content, **attributes)

    def symlink(self, path, target):
        return self._add(path, tarfile.SYMTYPE, 0o777, linkname=target)

    def hardlink(self, path, target):
        return self._add(path, tarfile.LNKTYPE, 0o644, linkname=target.strip("/"))

    def whiteout(self, path):
        """Removes what a lower layer has at `path`."""
        path = pathlib.PurePath(path)
        return self.file(str(path.parent / f".wh.{path.name}"), b"")

    def opaque(self, path):
        """Hides everything that lower layers have in the directory."""
        self.directory(path)
        return self.file(f"{path}/.wh..wh..opq", b"")

    def tar(self):
        self._tar.close()
        return self._buffer.getvalue()


@dataclass
class Image:
    layers: list  # uncompressed tars
    config: dict = field(default_factory=dict)
    architecture: str = "amd64"

    def config_json(self):
        document = {
            "created": CREATED, "architecture": self.architecture, "os": "linux",
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for tar in self.layers]},
            "history": [{"created": CREATED, "created_by": f"layer {number}"}
                        for number in range(len(self.layers))]}
        return json.dumps(document).encode()


def compress(data, compression):
    if compression == "gzip":
        return gzip.compress(data, 6, mtime=0)
    if compression == "zstd":
        return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE,
                              check=True).stdout
    return data


class _Layout:
    def __init__(self, directory):
        self.blobs = pathlib.Path(directory) / "blobs/sha256"
        self.blobs.mkdir(parents=True, exist_ok=True)

    def put(self, data, media_type):
        digest = digest_of(data)
        (self.blobs / digest.removeprefix("sha256:")).write_bytes(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def put_image(self, image, compression):
        manifest = {
            "schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json",
            "config": self.put(image.config_json(), f"{OCI}.config.v1+json"),
            "layers": [self.put(compress(tar, compression),
                                f"{OCI}.layer.v1.tar{COMPRESSIONS[compression]}")
                       for tar in image.layers]}
        return self.put(json.dumps(manifest).encode(), f"{OCI}.manifest.v1+json")


def write_oci_layout(directory, tags, compression="gzip"):
    """Tags name an Image, or a list of Images of several architectures (an index)."""
    layout = _Layout(directory)
    entries = []
    for tag, content in tags.items():
        if isinstance(content, Image):
            entry = layout.put_image(content, compression)
        else:
            manifests = [layout.put_image(image, compression)
                         | {"platform": {"os": "linux", "architecture": image.architecture}}
                         for image in content]
            index = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json",
                     "manifests": manifests}
            entry = layout.put(json.dumps(index).encode(), f"{OCI}.index.v1+json")
        entries.append(entry | {"annotations": {"org.opencontainers.image.ref.name": tag}})
    root = pathlib.Path(directory)
    (root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))


def write_docker_archive(path, references):
    """`references` maps "name:tag" to an Image."""
    with tarfile.open(path, "w") as archive:

        def add(name, data):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))

        manifest = []
        for reference, image in references.items():
            config = image.config_json()
            name = digest_of(config).removeprefix("sha256:") + ".json"
            add(name, config)
            layers = []
            for tar in image.layers:
                layers.append(digest_of(tar).removeprefix("sha256:") + "/layer.tar")
                add(layers[-1], tar)
            manifest.append({"Config": name, "RepoTags": [reference], "Layers": layers})
        add("manifest.json", json.dumps(manifest).encode())
