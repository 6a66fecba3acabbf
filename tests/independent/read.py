#!/usr/bin/env python3
"""Says what Python's `tarfile` finds in archives.

    read.py ARCHIVE...

Out: for each archive a table in the text form of src/layer/tree.rs, in the archive's order, behind
a line `= ARCHIVE`. Nothing but Python's standard library, and no code of cairn's.
"""

import hashlib
import sys
import tarfile

TYPES = {
    tarfile.REGTYPE: "f",
    tarfile.LNKTYPE: "h",
    tarfile.SYMTYPE: "l",
    tarfile.CHRTYPE: "c",
    tarfile.BLKTYPE: "b",
    tarfile.DIRTYPE: "d",
    tarfile.FIFOTYPE: "p",
}
XATTR = "SCHILY.xattr."


def data(text):
    """The bytes from which `tarfile` made text."""
    return text.encode("utf-8", "surrogateescape")


def escape(raw):
    return "".join(chr(b) if 0x21 <= b <= 0x7E and b != 0x25 else f"%{b:02X}" for b in raw)


def line(archive, member):
    kind, path = TYPES[member.type], data(member.name)
    folder, slash, name = path.rpartition(b"/")
    if kind == "f" and name.startswith(b".wh."):
        kind, path = "w", folder + slash + name[4:]
    value = "-"
    if kind == "f":
        content = archive.extractfile(member).read()
        value = f"{member.size}:{hashlib.sha256(content).hexdigest()}"
    elif kind in "lh":
        value = escape(data(member.linkname))
    elif kind in "cb":
        value = f"{member.devmajor}:{member.devminor}"
    # As `tarfile` makes floats of them, which can't hold far times.
    mtime = member.pax_headers.get("mtime", member.mtime)
    fields = [kind, f"{member.mode:04o}", member.uid, member.gid, mtime, escape(path), value]
    xattrs = {
        data(key)[len(XATTR) :]: data(value)
        for key, value in member.pax_headers.items()
        if key.startswith(XATTR)
    }
    for name in sorted(xattrs):
        fields.append(escape(name).replace("=", "%3D") + "=" + escape(xattrs[name]))
    return " ".join(map(str, fields))


for path in sys.argv[1:]:
    print("=", path)
    with tarfile.open(path, "r:", encoding="utf-8", errors="surrogateescape") as opened:
        for found in opened:
            print(line(opened, found))
