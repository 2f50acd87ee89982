"""The host, as it must be afterwards: a tree of files with secrets in them, which nobody may
change, open or show, and settings of the kernel that no container owns."""

import ctypes
import hashlib
import os
import pathlib
import secrets
import shutil
import struct

# inotify(7): everything that touches a file, reading too; of a directory what changes it, since
# anybody may look at /tmp.
IN_ALL_EVENTS, IN_LOOK = 0xFFF, 0x31
IN_ISDIR, IN_NONBLOCK, IN_CLOEXEC = 0x40000000, 0o4000, 0o2000000
NAMES = {1: "read", 2: "modify", 4: "attributes", 8: "close after write", 0x10: "close",
         0x20: "open", 0x40: "moved from", 0x80: "moved to", 0x100: "create", 0x200: "delete",
         0x400: "delete self", 0x800: "move self"}

# What an escape would like to change, and no test of ours or anybody's may.
SETTINGS = [f"/proc/sys/{name}" for name in (
    "kernel/core_pattern", "kernel/hostname", "kernel/domainname", "kernel/modprobe",
    "kernel/sysrq", "kernel/shmmni", "kernel/msgmax", "kernel/randomize_va_space",
    "fs/suid_dumpable", "fs/mqueue/msg_max", "net/ipv4/ip_forward", "vm/overcommit_memory")]


class Watch:
    """Every event below a directory, also of a change that was undone."""

    def __init__(self, root):
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(IN_NONBLOCK | IN_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._paths = {}
        for path in [root, *root.rglob("*")]:
            if path.is_symlink():
                continue
            watch = self._libc.inotify_add_watch(self._fd, os.fsencode(path), IN_ALL_EVENTS)
            if watch < 0:
                raise OSError(ctypes.get_errno(), "inotify_add_watch", str(path))
            self._paths[watch] = path

    def events(self):
        seen = set()
        while True:
            try:
                data = os.read(self._fd, 65536)
            except BlockingIOError:
                return sorted(seen)
            at = 0
            while at < len(data):
                watch, mask, _, length = struct.unpack_from("iIII", data, at)
                name = data[at + 16:at + 16 + length].rstrip(b"\0").decode(errors="replace")
                at += 16 + length
                where = f"{self._paths.get(watch, '?')}/{name}".rstrip("/")
                if mask & IN_ISDIR and mask & IN_LOOK:
                    continue
                seen |= {f"{text} {where}" for bit, text in NAMES.items() if mask & bit}

    def close(self):
        os.close(self._fd)


def describe(root):
    """Everything about each file below, without touching what it would say (atime)."""
    found = {}
    for path in [root, *sorted(root.rglob("*"))]:
        status = path.lstat()
        fields = [status.st_dev, status.st_ino, status.st_mode, status.st_uid, status.st_gid,
                  status.st_nlink, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        fields.append({name: os.getxattr(path, name, follow_symlinks=False)
                       for name in os.listxattr(path, follow_symlinks=False)})
        if path.is_symlink():
            fields.append(os.readlink(path))
        elif path.is_file():
            fields.append(hashlib.sha256(path.read_bytes()).hexdigest())
        found[str(path.relative_to(root))] = fields
    return found


class Canary:
    def __init__(self, root, tool):
        """`tool`: a program that would tell us where it runs."""
        self.root = root
        self.secrets, self.sang = [], False
        root.mkdir(mode=0o755)
        for name in ("secret", "victim", "etc/passwd", "etc/shadow", "dir/deep/file", "bin/sh",
                     "ptmx", "null", "console", "sys/net/ipv4/ip_forward", "sys/kernel/shmmni"):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._secret())
        (root / "empty").mkdir()
        shutil.copy(tool, root / "bin/tool")
        (root / "link").symlink_to("secret")
        os.setxattr(root / "secret", "user.canary", b"sings")
        os.chmod(root / "etc/shadow", 0o640)
        self._before = describe(root)
        self._settings = self._read_settings()
        self._watch = Watch(root)

    def _secret(self):
        self.secrets.append(secrets.token_hex(16))
        return f"canary {self.secrets[-1]}\n"

    @staticmethod
    def _read_settings():
        return {name: pathlib.Path(name).read_text() for name in SETTINGS
                if os.path.exists(name)}

    def check(self, *texts):
        """What happened to the host; `texts`: what containers and the runtime have said."""
        harm = self._watch.events()
        after, settings = describe(self.root), self._read_settings()
        harm += [f"{name}: {self._before.get(name)} became {after.get(name)}"
                 for name in sorted({*self._before, *after})
                 if self._before.get(name) != after.get(name)]
        harm += [f"{name}: {value!r} became {settings.get(name)!r}"
                 for name, value in self._settings.items() if settings.get(name) != value]
        harm += [f"a secret was shown: {text[max(0, text.find(secret) - 200):][:400]}"
                 for text in texts for secret in self.secrets if secret in text]
        self._watch.events()  # those of our own look
        return harm

    def close(self):
        self._watch.close()
        shutil.rmtree(self.root)
