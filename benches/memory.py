#!/usr/bin/env python3
"""How much memory cairn takes: builds and pushes of large files, and of very many.

    benches/memory.py [--cairn PROGRAM] [--scale 0.01] [--dir FOLDER] [--only NAME]

Each case makes its files, builds them with an empty store, builds them again, and pushes the image
to `cairn serve`. It prints the largest resident set of each process and fails where one is over
its limit. Without `--scale` the sizes are those that cairn promises: 5 GB in 200 files and one
file of 4 GiB in 200 MB, a million empty files in 1 GB; about 20 GB of disk are needed. Only Linux;
only the standard library.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

MB = 1_000_000


def noise(path, size, seed):
    """Writes a file of which no two chunks are alike: half of each piece compresses."""
    with open(path, "wb") as file:
        left, piece = size, 0
        text = b"stone heap path fog ridge marker valley rain\n" * 12_000
        while left > 0:
            block = b"%d %d " % (seed, piece) + os.urandom(1 << 19) + text[: 1 << 19]
            file.write(block[:left])
            left -= len(block)
            piece += 1


def many_large(folder, scale):
    for number in range(200):
        noise(f"{folder}/file-{number:03}", int(25 * MB * scale), number)


def one_large(folder, scale):
    noise(f"{folder}/file", int((4 << 30) * scale), 0)


def many_empty(folder, scale):
    for outer in range(1000):
        os.mkdir(f"{folder}/{outer:03}")
        for inner in range(int(1000 * scale)):
            os.close(os.open(f"{folder}/{outer:03}/file-{inner:03}", os.O_CREAT | os.O_WRONLY))


CASES = [
    ("200 files of 25 MB", many_large, 200 * MB),
    ("one file of 4 GiB", one_large, 200 * MB),
    ("a million empty files", many_empty, 1000 * MB),
]


def measured(command):
    """Runs a command: what it said, its largest resident set in bytes, its seconds."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command} ended with {process.returncode}")
    return said.decode().strip(), usage.ru_maxrss * 1024, time.monotonic() - start


def high_water(process):
    with open(f"/proc/{process.pid}/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]) * 1024


class Report:
    def __init__(self):
        self.failed = False
        print(f"{'case':24}{'what':22}{'peak MB':>8}{'limit':>8}{'seconds':>9}", flush=True)

    def row(self, case, what, peak, limit, seconds=None):
        over = "  over the limit" if peak > limit else ""
        self.failed |= peak > limit
        shown = f"{seconds:9.1f}" if seconds is not None else ""
        print(f"{case:24}{what:22}{peak / MB:8.0f}{limit / MB:8.0f}{shown}{over}", flush=True)


def run_case(cairn, folder, case, fill, limit, scale, report):
    context, here, there = (f"{folder}/{name}" for name in ("context", "here", "there"))
    os.mkdir(context)
    fill(context, scale)
    recipe = f"{folder}/cairn.toml"
    with open(recipe, "w") as file:
        file.write('from = "scratch"\nplatforms = ["linux/amd64"]\n')
        file.write('[[steps]]\ncopy = { paths = ["."], to = "/app" }\n')
    build = [cairn, "--store", here, "build", "--quiet", "-t", "memory", "-f", recipe, context]
    for what, extra in [("build", []), ("nothing changed", []), ("zstd", ["--compression=zstd"])]:
        _, peak, seconds = measured(build + extra)
        report.row(case, what, peak, limit, seconds)
    serve = subprocess.Popen(
        [cairn, "--store", there, "serve", "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    try:
        port = None
        while port is None:
            line = serve.stdout.readline()
            if not line:
                sys.exit("cairn serve ended")
            port = re.search(r"127\.0\.0\.1:(\d+)", line)
        target = f"127.0.0.1:{port[1]}/memory:1"
        push = [cairn, "--store", here, "push", "--quiet", "memory", target]
        _, peak, seconds = measured(push)
        report.row(case, "push", peak, limit, seconds)
        report.row(case, "serve", high_water(serve), limit)
    finally:
        serve.terminate()
        serve.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--cairn", default=f"{here}/../target/release/cairn")
    parser.add_argument("--scale", type=float, default=1.0, help="of the sizes and counts")
    parser.add_argument("--dir", help="where to make the files; has to be a disk's")
    parser.add_argument("--only", default="", help="only the cases whose name holds this")
    arguments = parser.parse_args()
    report = Report()
    for case, fill, limit in CASES:
        if arguments.only not in case:
            continue
        folder = tempfile.mkdtemp(prefix="cairn-memory-", dir=arguments.dir)
        try:
            cairn = os.path.abspath(arguments.cairn)
            run_case(cairn, folder, case, fill, limit, arguments.scale, report)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(report.failed)


if __name__ == "__main__":
    main()
