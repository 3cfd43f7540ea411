"""What a power failure leaves of a folder, by a model: a command's trace is replayed, and what it did not sync is lost.

Of each file the model keeps what it holds and what it held at its last fsync, of each folder its names likewise. A state
after a power failure is one of two: DROPPED, in which nothing is there that was not synced, names included; EMPTIED, in
which names are there and a file that was cut since its last sync, or never synced, is empty, as XFS and ext4 with data=writeback leave one.
A rename from one folder to another reaches the disk whole, with the sync of either, as in every file system with a journal.
"""

import dataclasses
import os
import pathlib
import re

CALLS = ("openat", "mkdir", "mkdirat", "write", "pwrite64", "lseek", "ftruncate", "fallocate", "fsync", "fdatasync", "syncfs",
         "rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "rmdir", "close", "dup", "fcntl",
         "sendfile", "copy_file_range")
DROPPED, EMPTIED = "dropped", "emptied"
LINE = re.compile(r"^(?:\d+\s+)?(\w+)\((.*)\)\s+= (-?\d+)(?:<[^>]*>)?")


class File:
    def __init__(self, data=b"", synced=None):
        self.now, self.synced, self.cut = bytearray(data), synced, False


class Folder:
    def __init__(self):
        self.now, self.synced = {}, {}
        self.moved = []  # (from, name, to, name, node) of renames that no sync has brought to the disk


def sync(node):
    if isinstance(node, File):
        node.synced, node.cut = bytes(node.now), False
    else:
        node.synced = dict(node.now)
        for entry in node.moved:
            old, old_name, new, new_name, moved = entry
            if old is not node and old.synced.get(old_name) is moved:
                del old.synced[old_name]
            if new is not node and new.now.get(new_name) is moved:
                new.synced[new_name] = moved
            other = new if old is node else old
            other.moved = [one for one in other.moved if one is not entry]
        node.moved = []


def load(path):
    if path.is_file():
        data = path.read_bytes()
        return File(data, data)
    folder = Folder()
    folder.now = {item.name: load(item) for item in path.iterdir()}
    folder.synced = dict(folder.now)
    return folder


def text(hexed):
    return bytes.fromhex(hexed.replace("\\x", ""))


class Disk:
    def __init__(self, root):
        self.root, self.top, self.open, self.names = pathlib.Path(root), load(pathlib.Path(root)), {}, {}

    def path(self, name, base=None):
        name = os.fsdecode(name)
        found = re.match(r"/proc/self/fd/(\d+)(/.*)?$", name)
        if found:
            return pathlib.Path(self.names.get(int(found[1]), "/nowhere") + (found[2] or ""))
        return pathlib.Path(base or "/") / name

    def place(self, path):
        """(folder, name), or None for what is not below the root."""
        try:
            parts = path.relative_to(self.root).parts
        except ValueError:
            return None
        folder = self.top
        for part in parts[:-1]:
            folder = folder.now.get(part) if isinstance(folder, Folder) else None
        return (folder, parts[-1]) if isinstance(folder, Folder) and parts else None

    def node(self, path):
        place = self.place(path)
        return self.top if path == self.root else place and place[0].now.get(place[1])

    def replay(self, line):
        """Whether the line changed anything, or synced it."""
        found = LINE.match(line)
        if not found or int(found[3]) < 0:
            return False
        call, result = found[1], int(found[3])
        strings = [text(value) for value in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', found[2])]
        bare = re.sub(r'"[^"]*"(?:\.\.\.)?|<[^>]*>(?:\(deleted\))?|\{[^}]*\}', "", found[2])
        words = [word.strip() for word in bare.split(",")]
        bases = [os.fsdecode(text(value)) for value in re.findall(r"(?:AT_FDCWD|\b\d+)<((?:\\x[0-9a-f]{2})*)>", found[2])]
        return bool(getattr(self, "do_" + call)(result, words, strings, bases))

    def do_openat(self, result, words, strings, bases):
        path, flags, changed = self.path(strings[0], bases and bases[0]), words[2].split("|"), False
        if "__O_TMPFILE" in flags or "O_TMPFILE" in flags:
            self.open[result], self.names[result] = [File(), 0], "/nowhere"
            return False
        node = self.node(path)
        place = self.place(path)
        if node is None and place and "O_CREAT" in flags:
            node = place[0].now[place[1]] = File()
            changed = True
        if isinstance(node, File) and "O_TRUNC" in flags:
            node.now.clear()
            node.cut = True
            changed = True
        self.open[result], self.names[result] = [node, 0], str(path)
        return changed

    def do_close(self, result, words, strings, bases):
        self.open.pop(int(words[0]), None)

    def do_dup(self, result, words, strings, bases):
        self.open[result] = self.open.get(int(words[0]), [None, 0])

    def do_fcntl(self, result, words, strings, bases):
        if words[1].startswith("F_DUPFD"):
            self.do_dup(result, words, strings, bases)

    def do_lseek(self, result, words, strings, bases):
        if int(words[0]) in self.open:
            self.open[int(words[0])][1] = result

    def store(self, words, data, at):
        node = self.open.get(int(words[0]), [None])[0]
        if not isinstance(node, File):
            return False
        if len(node.now) < at:
            node.now.extend(bytes(at - len(node.now)))
        node.now[at:at + len(data)] = data
        return True

    def do_write(self, result, words, strings, bases):
        held = self.open.get(int(words[0]))
        if held is None:
            return False
        held[1] += result
        return self.store(words, strings[0][:result], held[1] - result)

    def do_pwrite64(self, result, words, strings, bases):
        return self.store(words, strings[0][:result], int(words[-1]))

    def do_sendfile(self, result, words, strings, bases):
        return self.copy(int(words[0]), int(words[1]), result)

    def do_copy_file_range(self, result, words, strings, bases):
        return self.copy(int(words[2]), int(words[0]), result)

    def copy(self, to, source, size):
        """From where the source is read to where the target is written; only whole files are copied, from their begin."""
        node, at = self.open.get(source, [None, 0])
        target = self.open.get(to)
        if target is None or not isinstance(node, File):
            return False
        self.open[source][1] += size
        target[1] += size
        return self.store([str(to)], bytes(node.now[at:at + size]), target[1] - size)

    def do_ftruncate(self, result, words, strings, bases):
        node = self.open.get(int(words[0]), [None])[0]
        if isinstance(node, File):
            size = int(words[1])
            node.cut = node.cut or size < len(node.now)
            node.now = bytearray(node.now[:size].ljust(size, b"\0"))
        return isinstance(node, File)

    def do_fallocate(self, result, words, strings, bases):
        return self.store(words, bytes(int(words[3])), int(words[2]))

    def do_fsync(self, result, words, strings, bases):
        node = self.open.get(int(words[0]), [None])[0]
        if node is not None:
            sync(node)
        return node is not None

    do_fdatasync = do_fsync

    def do_syncfs(self, result, words, strings, bases):
        def sync_all(node):
            sync(node)
            for below in node.now.values() if isinstance(node, Folder) else ():
                sync_all(below)
        sync_all(self.top)
        return True

    def do_mkdir(self, result, words, strings, bases):
        place = self.place(self.path(strings[0], bases and bases[0]))
        if place:
            place[0].now[place[1]] = Folder()
        return bool(place)

    do_mkdirat = do_mkdir

    def do_rename(self, result, words, strings, bases):
        old, new = (self.place(self.path(name, bases[i] if i < len(bases) else None)) for i, name in enumerate(strings))
        if not old or not new:
            return False
        node = old[0].now.pop(old[1])
        moved = [(*old, *new, node)]
        if "RENAME_EXCHANGE" in words[-1]:
            other = old[0].now[old[1]] = new[0].now[new[1]]
            moved.append((*new, *old, other))
        new[0].now[new[1]] = node
        if old[0] is not new[0]:
            for folder in (old[0], new[0]):
                folder.moved.extend(moved)
        return True

    do_renameat = do_renameat2 = do_rename

    def do_linkat(self, result, words, strings, bases):
        found = re.match(rb"/proc/self/fd/(\d+)$", strings[0])
        node = self.open[int(found[1])][0] if found else self.node(self.path(strings[0], bases and bases[0]))
        new = self.place(self.path(strings[1], bases[-1] if bases else None))
        if new and node is not None:
            new[0].now[new[1]] = node
        return bool(new)

    do_link = do_linkat

    def do_unlink(self, result, words, strings, bases):
        place = self.place(self.path(strings[0], bases and bases[0]))
        return bool(place and place[0].now.pop(place[1], None))

    do_unlinkat = do_rmdir = do_unlink

    def as_it_is(self, node=None):
        """The tree as bytes and dictionaries, as a reader sees it now."""
        node = node or self.top
        return {name: self.as_it_is(below) for name, below in node.now.items()} if isinstance(node, Folder) else bytes(node.now)

    def after_failure(self, how, node=None):
        """The same after a power failure: DROPPED or EMPTIED."""
        node = node or self.top
        if isinstance(node, Folder):
            names = node.synced if how == DROPPED else node.now
            return {name: self.after_failure(how, below) for name, below in names.items()}
        if how == EMPTIED and node.cut:
            return b""
        return node.synced or b""


@dataclasses.dataclass
class State:
    where: str
    tree: dict
    last: bool  # the command had ended


def states(lines, disk):
    """Every other one that a power failure can leave of the disk, which becomes what the command left."""
    seen, out = set(), []
    for number, line in enumerate(lines):
        last = number == len(lines) - 1
        if not disk.replay(line) and not last:
            continue
        for how in (DROPPED, EMPTIED):
            tree = disk.after_failure(how)
            if repr(tree) in seen and not last:
                continue
            seen.add(repr(tree))
            out.append(State(f"{how} after line {number} of {len(lines)}: {line[:60]}", tree, last))
    return out


def read_tree(path):
    return path.read_bytes() if path.is_file() else {item.name: read_tree(item) for item in path.iterdir()}


def write_tree(tree, path):
    if isinstance(tree, bytes):
        path.write_bytes(tree)
        path.chmod(0o600)
        return
    path.mkdir(mode=0o700, exist_ok=True)
    for name, below in tree.items():
        write_tree(below, path / name)
