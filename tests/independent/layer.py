#!/usr/bin/env python3
"""Writes format 1's tar stream a second time, from its documentation alone.

    layer.py CONTENTS TABLE... [--headers TABLE...]

In: tables of entries in the text form of src/layer/tree.rs, their lines in any order, and a folder
CONTENTS that holds each file's content under its SHA-256. Out: a line a table, its diff ID. Of the
tables behind `--headers` the digest leaves out what files hold (and what fills their last block),
so that a file of terabytes costs no more than its header.

Written from the text at the head of src/layer/tar.rs, and from no code of cairn's. Where the two
give different bytes, one of them or the text is wrong; none may be changed to fit the other
without asking which. Nothing but Python's standard library, and not its `tarfile`.
"""

import hashlib
import os
import sys

BLOCK = 512
TYPEFLAG = {"f": b"0", "w": b"0", "h": b"1", "l": b"2", "c": b"3", "b": b"4", "d": b"5", "p": b"6"}
SEVEN_DIGITS = 0o7777777
ELEVEN_DIGITS = 0o77777777777


def unescape(text):
    """The bytes that `%XX` and plain ASCII stand for."""
    parts = text.encode("ascii").split(b"%")
    return parts[0] + b"".join(bytes([int(part[:2], 16)]) + part[2:] for part in parts[1:])


class Entry:
    """A line of the table."""

    def __init__(self, line):
        kind, mode, uid, gid, mtime, path, value, *xattrs = line.split(" ")
        self.kind = kind
        self.mode = int(mode, 8)
        self.uid = int(uid)
        self.gid = int(gid)
        self.mtime = int(mtime)
        self.components = [] if path == "." else unescape(path).split(b"/")
        self.xattrs = [tuple(map(unescape, xattr.split("=", 1))) for xattr in xattrs]
        self.size, self.sha256, self.target, self.device = 0, None, b"", (0, 0)
        if kind == "f":
            size, self.sha256 = value.split(":")
            self.size = int(size)
        elif kind in "lh":
            self.target = unescape(value)
        elif kind in "cb":
            major, minor = value.split(":")
            self.device = int(major), int(minor)

    def order(self):
        """By components; in each directory its whiteouts first."""
        key = [(1, component) for component in self.components]
        if self.kind == "w":
            key[-1] = (0, self.components[-1])
        return key

    def name(self):
        """As it stands in the archive."""
        if self.kind == "w":
            return b"/".join([*self.components[:-1], b".wh." + self.components[-1]])
        if self.kind == "d":
            return b"/".join(self.components or [b"."]) + b"/"
        return b"/".join(self.components)


def octal(number, digits):
    text = b"%0*o" % (digits, number)
    assert len(text) == digits, number
    return text + b"\0"


def fill(data):
    return data + bytes(-len(data) % BLOCK)


def is_ascii(data):
    return all(byte < 0x80 for byte in data)


def is_utf8(data):
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def visible(data):
    """What stands in a header's field where a PAX record holds the real value."""
    return bytes(byte if 0x20 <= byte <= 0x7E else ord("_") for byte in data[:100])


def split(name):
    """The name parted into `prefix` and `name`; none where ustar can't hold it."""
    if not is_ascii(name):
        return None
    if len(name) <= 100:
        return b"", name
    for at, byte in enumerate(name[:-1]):
        if byte == ord("/") and 1 <= at <= 155 and len(name) - at - 1 <= 100:
            return name[:at], name[at + 1 :]
    return None


def header(typeflag, name, mode, uid, gid, size, mtime, linkname=b"", device=(0, 0), prefix=b""):
    before = (
        name.ljust(100, b"\0")
        + octal(mode, 7)
        + octal(uid, 7)
        + octal(gid, 7)
        + octal(size, 11)
        + octal(mtime, 11)
    )
    behind = (
        typeflag
        + linkname.ljust(100, b"\0")
        + b"ustar\x0000"
        + bytes(64)
        + octal(device[0], 7)
        + octal(device[1], 7)
        + prefix.ljust(155, b"\0")
        + bytes(12)
    )
    checksum = sum(before) + 8 * ord(" ") + sum(behind)
    block = before + octal(checksum, 6) + b" " + behind
    assert len(block) == BLOCK, len(block)
    return block


def record(key, value):
    """`LENGTH KEY=VALUE\\n`, where LENGTH counts its own digits too."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest)
    while length != len(b"%d" % length) + len(rest):
        length = len(b"%d" % length) + len(rest)
    return b"%d" % length + rest


def headers(entry):
    """What stands before the entry's content: its PAX header, where one is needed, and its own."""
    records = {b"SCHILY.xattr." + name: value for name, value in entry.xattrs}

    def number(key, value, highest):
        if 0 <= value <= highest:
            return value
        records[key] = b"%d" % value
        return 0

    uid = number(b"uid", entry.uid, SEVEN_DIGITS)
    gid = number(b"gid", entry.gid, SEVEN_DIGITS)
    size = number(b"size", entry.size, ELEVEN_DIGITS)
    mtime = number(b"mtime", entry.mtime, ELEVEN_DIGITS)

    parted = split(entry.name())
    if parted is None:
        records[b"path"] = entry.name()
        parted = b"", visible(entry.name())
    prefix, name = parted

    linkname = entry.target
    if len(linkname) > 100 or not is_ascii(linkname):
        records[b"linkpath"] = linkname
        linkname = visible(linkname)

    if not all(is_utf8(records.get(key, b"")) for key in (b"path", b"linkpath")):
        records[b"hdrcharset"] = b"BINARY"

    typeflag = TYPEFLAG[entry.kind]
    own = header(
        typeflag, name, entry.mode, uid, gid, size, mtime, linkname, entry.device, prefix
    )
    if not records:
        return own
    text = b"".join(record(key, records[key]) for key in sorted(records))
    return header(b"x", b"././@PaxHeader", 0o644, 0, 0, len(text), 0) + fill(text) + own


def content(folder, entry):
    with open(os.path.join(folder, entry.sha256), "rb") as file:
        data = file.read()
    if len(data) != entry.size or hashlib.sha256(data).hexdigest() != entry.sha256:
        sys.exit(f"{file.name}: not what the table says")
    return fill(data)


def diff_id(table, contents):
    """`contents`: folder of what the files hold, or none to leave it out."""
    with open(table, encoding="ascii", newline="\n") as file:
        entries = [Entry(line) for line in file.read().split("\n")[:-1]]
    digest = hashlib.sha256()
    for entry in sorted(entries, key=Entry.order):
        digest.update(headers(entry))
        if entry.kind == "f" and contents is not None:
            digest.update(content(contents, entry))
    digest.update(bytes(2 * BLOCK))
    return "sha256:" + digest.hexdigest()


def main():
    contents, *tables = sys.argv[1:]
    folder = contents
    for table in tables:
        if table == "--headers":
            folder = None
        else:
            print(diff_id(table, folder))


if __name__ == "__main__":
    main()
