#!/usr/bin/env python3
"""Times RUN beside a peer: cairn and Buildah (with crun or runc), one Dockerfile for both.

In: a static busybox, `--cairn`. Out: on standard output a table of milliseconds a step, and of
ratios beside the goals. Each round runs every candidate once, one after the other; printed are the
median, the least and the most.

| measure | what |
| --- | --- |
| floor | `/bin/true` itself, by fork and exec |
| trivial | 20 steps `RUN ["true"]` over a base of 1 MB, less a build of none |
| wide | one step that writes a file over a base of 300 MB in 20,000 files, less `trivial` |
| cached | the 20 steps again |

    benches/run.py [--rounds 5] [--steps 20] [--cairn target/release/cairn]
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

def timed(command, **options):
    started = time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, **options)
    seconds = time.monotonic() - started
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}:\n{done.stderr.decode()[-2000:]}")
    return seconds * 1000


def shown(values):
    return f"{statistics.median(values):.1f} ({min(values):.1f}-{max(values):.1f})"


class Cairn:
    name = "cairn"

    def __init__(self, program, work):
        self.program, self.store = os.path.abspath(program), os.path.join(work, "store")

    def build(self, folder, cached=False):
        extra = [] if cached else ["--no-cache-filter", "run"]
        return timed([self.program, "build", "-q", "--store", self.store, *extra, folder])

    def base(self, folder, name):
        timed([self.program, "build", "-q", "--store", self.store, "-t", f"localhost/{name}", folder])


def in_cgroup2(command):
    """The command where crun finds control groups of version 2 alone: it refuses both versions
    side by side."""
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        return command
    script = 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh", *command]


class Buildah:
    name = "buildah"

    def __init__(self, runtime, work):
        place = ["--root", f"{work}/root", "--runroot", f"{work}/runroot"]
        self.command = ["buildah", *place, "--storage-driver", "overlay"]
        self.runtime = ["--isolation", "oci", "--runtime", runtime]
        if runtime == "crun":
            self.command = in_cgroup2(self.command)
            self.runtime += ["--runtime-flag", "cgroup-manager=disabled"]

    def build(self, folder, cached=False, network="none"):
        caches = ["--layers"] if cached else ["--layers", "--no-cache"]
        runtime = [*self.runtime, "--network", network]
        return timed([*self.command, "bud", "-q", *runtime, *caches, folder])

    def base(self, folder, name):
        timed([*self.command, "bud", "-q", "-t", f"localhost/{name}", folder])


def write(folder, text):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "Dockerfile"), "w") as file:
        file.write(text)
    return folder


def bases(work, busybox):
    """Folders with the Dockerfiles of a small base and of a wide one."""
    small = write(
        os.path.join(work, "small"),
        'FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\nCOPY busybox /bin/true\n'
        "ENV PATH=/bin\n",
    )
    shutil.copy(busybox, os.path.join(small, "busybox"))
    wide = write(os.path.join(work, "wide"), "FROM localhost/small\nCOPY files /files\n")
    for number in range(20_000):
        folder = os.path.join(wide, "files", str(number % 200))
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, str(number)), "wb") as file:
            file.write(number.to_bytes(8, "big") * 1900)
    return small, wide


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--cairn", default="target/release/cairn")
    parser.add_argument("--busybox", default="/bin/busybox")
    parser.add_argument("--runtime", default="crun")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cairn-run-") as work:
        peers = [Cairn(arguments.cairn, work)]
        if shutil.which("buildah") and shutil.which(arguments.runtime):
            peers.append(Buildah(arguments.runtime, work))
        small, wide = bases(work, arguments.busybox)
        run = "".join(f'RUN ["true", "{number}"]\n' for number in range(arguments.steps))
        folders = {
            "none": write(f"{work}/none", "FROM localhost/small AS run\nLABEL a=b\n"),
            "trivial": write(f"{work}/trivial", f"FROM localhost/small AS run\n{run}"),
            "small": write(f"{work}/one", 'FROM localhost/small AS run\nRUN echo > /new\n'),
            "wide": write(f"{work}/over", 'FROM localhost/wide AS run\nRUN echo > /new\n'),
        }
        found = {}
        for peer in peers:
            peer.base(small, "small")
            peer.base(wide, "wide")
            for folder in folders.values():
                peer.build(folder)
        for _ in range(arguments.rounds):
            found.setdefault(("floor", "floor"), []).append(timed(["/bin/true"]))
            for peer in peers:
                for name, folder in folders.items():
                    found.setdefault((peer.name, name), []).append(peer.build(folder))
                cached = peer.build(folders["trivial"], cached=True)
                found.setdefault((peer.name, "cached"), []).append(cached)
        print("| measure | " + " | ".join(peer.name for peer in peers) + " |")
        print("| --- |" + " --- |" * len(peers))
        a_step, over = {}, {}
        for peer in peers:
            pairs = zip(found[peer.name, "trivial"], found[peer.name, "none"])
            a_step[peer.name] = [(all_steps - none) / arguments.steps for all_steps, none in pairs]
            pairs = zip(found[peer.name, "wide"], found[peer.name, "small"])
            over[peer.name] = [wide - small for wide, small in pairs]
        for title, values in [
            ("a trivial step, ms", a_step),
            ("300 MB base, ms over a small one", over),
            ("20 steps cached, ms", {p.name: found[p.name, "cached"] for p in peers}),
            ("none, ms", {p.name: found[p.name, "none"] for p in peers}),
        ]:
            print(f"| {title} | " + " | ".join(shown(values[p.name]) for p in peers) + " |")
        print(f"\nfloor, ms: {shown(found['floor', 'floor'])}")
        if len(peers) == 2:
            ratio = [a / b for a, b in zip(a_step["cairn"], a_step["buildah"])]
            print(f"a step, cairn / buildah: {shown(ratio)} (goal 0.2)")


if __name__ == "__main__":
    main()
