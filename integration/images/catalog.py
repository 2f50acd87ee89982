"""The images the tests use, made of the distribution's static busybox and our guest program."""

import pathlib
import subprocess

from images.builder import Image, Layer

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BUSYBOX = pathlib.Path("/bin/busybox")  # package busybox-static


def busybox_layer():
    layer = Layer()
    for name in ("dev", "etc", "home", "proc", "root", "run", "sbin", "sys", "usr/bin", "var"):
        layer.directory(name)
    layer.directory("tmp", 0o1777)
    layer.file("bin/busybox", BUSYBOX.read_bytes(), 0o755)
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True)
    for applet in applets.stdout.split():
        if applet != "busybox":
            layer.symlink(f"bin/{applet}", "busybox")
    layer.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
                             "nobody:x:65534:65534:nobody:/home:/bin/false\n"
                             "app:x:1000:1000:app:/home/app:/bin/sh\n")
    layer.file("etc/group", "root:x:0:\nnogroup:x:65534:\napp:x:1000:\nextra:x:2000:app\n")
    return layer.tar()


def busybox():
    return Image([busybox_layer()], {"Env": [PATH], "Cmd": ["sh"]})


def settings():
    """Every field of an image's configuration that a runtime must honour."""
    data = Layer().directory("home/app", uid=1000, gid=1000)
    data.directory("data", uid=1000, gid=1000)
    data.file("data/shipped", "from the image\n", uid=1000, gid=1000)
    return Image([busybox_layer(), data.tar()], {
        "User": "app", "WorkingDir": "/home/app", "Env": [PATH, "GREETING=hello", "EMPTY="],
        "Entrypoint": ["/bin/sh", "-c"], "Cmd": ["echo $GREETING from $(id -un) in $(pwd)"],
        "Volumes": {"/data": {}, "/cache": {}}, "ExposedPorts": {"8080/tcp": {}},
        "StopSignal": "SIGINT", "Labels": {"org.example.purpose": "test"}})


def layered():
    """Layers that replace, remove and hide what lower ones have."""
    second = Layer().file("stack/changed", "second\n").file("stack/removed", "second\n")
    second.file("stack/hidden/old", "second\n").file("stack/kept", "second\n")
    second.hardlink("stack/link", "stack/kept")
    third = Layer().file("stack/changed", "third\n", 0o4755).whiteout("stack/removed")
    third.opaque("stack/hidden").file("stack/hidden/new", "third\n")
    return Image([busybox_layer(), second.tar(), third.tar()], {"Env": [PATH], "Cmd": ["sh"]})


def several_architectures():
    """An index: this machine's image, and one that cannot run here."""
    foreign = Image([Layer().file("only-on-arm", "").tar()], {"Cmd": ["none"]}, "arm64")
    native = Image([busybox_layer()], {"Env": [PATH], "Cmd": ["sh"], "Labels": {"kind": "index"}})
    return [foreign, native]


def probe(program):
    """Our static guest program, alone: each of its verbs shows one fact as JSON."""
    layer = Layer().directory("tmp", 0o1777).directory("proc").directory("dev").directory("sys")
    layer.file("probe", pathlib.Path(program).read_bytes(), 0o755)
    return Image([layer.tar()], {"Env": [PATH], "Entrypoint": ["/probe"]})


def catalog(probe_program=None):
    """Repository name: image (or several of an index)."""
    images = {"busybox": busybox(), "settings": settings(), "layered": layered(),
              "multiarch": several_architectures()}
    if probe_program is not None and pathlib.Path(probe_program).exists():
        images["probe"] = probe(probe_program)
    return images
