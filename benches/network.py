#!/usr/bin/env python3
"""Times what commands fetch through cairn's recording proxy, beside curl alone.

In: `--cairn`, curl and busybox of this machine (Linux alone). Out: on standard output a table of
seconds, ratios of medians beside their goals, and the largest resident set of any of cairn's
processes. The server is on the loopback, and sends by sendfile(2). Each round runs every candidate
once, one after the other; printed are the median, the least and the most.

| candidate | what |
| --- | --- |
| bare | curl on this machine |
| host | `cairn build --no-cache` of a `RUN --network=host` |
| record | `cairn lock` of a `RUN`, with a new lock |
| replay | `cairn build --locked --offline --no-cache` of the same |

Of those by cairn the time of the same with one small answer is taken away, so that what is left is
the download. It goes to a file on the same disk, which the command then removes (no layer is made of
it), or to /dev/null, where everything else shows more.

    benches/network.py [--rounds 5] [--size 1000000000] [--cairn target/release/cairn]
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

MB = 1_000_000
SMALL = b"y" * 1000


def measured(command, **options):
    """Runs a command: its seconds, the largest resident set of it and its children in bytes."""
    started = time.monotonic()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options
    )
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command} ended with {process.returncode}:\n{said.decode()[-2000:]}")
    return seconds, usage.ru_maxrss * 1024


def shown(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def answer(connection, large):
    """Answers all that is asked on one connection."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    size = os.fstat(large).st_size
    asked = b""
    while True:
        while b"\r\n\r\n" not in asked:
            came = connection.recv(65536)
            if not came:
                return
            asked += came
        request, asked = asked.split(b"\r\n\r\n", 1)
        is_large = request.split(b" ")[1] == b"/large"
        length = size if is_large else len(SMALL)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
        head += b"Content-Length: %d\r\n\r\n" % length
        if not is_large:
            connection.sendall(head + SMALL)
            continue
        connection.sendall(head)
        sent = 0
        while sent < length:
            sent += os.sendfile(connection.fileno(), large, sent, length - sent)


def serve(path):
    """Serves in a process of its own, which ends with this one; says at which port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    port = listener.getsockname()[1]
    alive, held = os.pipe()
    if os.fork() == 0:
        os.close(held)
        threading.Thread(target=lambda: (os.read(alive, 1), os._exit(0)), daemon=True).start()
        large = os.open(path, os.O_RDONLY)

        def one(connection):
            try:
                answer(connection, large)
            except OSError:
                pass  # Who asked is gone.

        while True:
            connection, _ = listener.accept()
            threading.Thread(target=one, args=(connection,), daemon=True).start()
    os.close(alive)
    listener.close()
    return port


def base(folder):
    """curl and a shell of this machine, and what they are linked with."""
    os.makedirs(f"{folder}/bin")
    os.makedirs(f"{folder}/tmp")
    for name in ["busybox", "curl"]:
        found = os.path.realpath(shutil.which(name) or sys.exit(f"{name} is not installed"))
        shutil.copy(found, f"{folder}/bin/{name}")
        linked = subprocess.run(["ldd", found], capture_output=True, text=True).stdout.split()
        for library in [word for word in linked if word.startswith("/")]:
            os.makedirs(folder + os.path.dirname(library), exist_ok=True)
            shutil.copy(library, folder + library)
    for name in ["sh", "rm", "true"]:
        os.symlink("busybox", f"{folder}/bin/{name}")


class Case:
    """One thing to fetch, and what fetches it."""

    def __init__(self, cairn, work, port, name, path, to):
        self.cairn, self.work, self.name = cairn, work, name
        self.bare = ["curl", "-sSf", "-o", f"{work}/got" if to == "file" else "/dev/null"]
        self.bare += ["--noproxy", "*", f"http://127.0.0.1:{port}{path}"]
        inside = [word.replace(f"{work}/got", "/tmp/got") for word in self.bare]
        command = " ".join(f"'{word}'" for word in inside) + " && rm -f /tmp/got"
        through = command.replace("127.0.0.1", "world")
        # Names the case in what is run: no two are the same step.
        for kind, run in [("host", f"RUN --network=host {command}"), ("proxied", f"RUN {through}")]:
            folder = f"{work}/{name}-{kind}"
            os.makedirs(folder)
            shutil.copytree(f"{work}/base", f"{folder}/base", symlinks=True)
            with open(f"{folder}/Dockerfile", "w") as file:
                file.write(f"FROM scratch\nCOPY base /\n{run}\n")

    def run(self, candidate):
        """Its seconds, and cairn's largest resident set."""
        if candidate == "bare":
            return measured(self.bare)[0], 0
        kind = "host" if candidate == "host" else "proxied"
        folder = f"{self.work}/{self.name}-{kind}"
        lock = f"{folder}.lock"
        command = [self.cairn, "--store", f"{self.work}/store"]
        options = ["--add-host", "world:host-gateway", "--lockfile", lock, folder]
        if candidate == "record":
            if os.path.exists(lock):
                os.remove(lock)
            return measured([*command, "lock", "-q", *options])
        if candidate == "host":
            return measured([*command, "build", "-q", "--no-cache", "--allow", "network.host", folder])
        build = ["build", "-q", "--locked", "--offline", "--no-cache"]
        return measured([*command, *build, *options])


CANDIDATES = ["bare", "host", "record", "replay"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=1_000_000_000)
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--cairn", default="target/release/cairn")
    arguments = parser.parse_args()
    cairn = os.path.abspath(arguments.cairn)
    with tempfile.TemporaryDirectory(prefix="cairn-network-") as work:
        with open(f"{work}/large", "wb") as file:
            left = arguments.size
            while left > 0:
                left -= file.write(os.urandom(min(left, MB)))
        port = serve(f"{work}/large")
        base(f"{work}/base")
        least = Case(cairn, work, port, "one", "/small/1", "null")
        cases = [
            Case(cairn, work, port, "file", "/large", "file"),
            Case(cairn, work, port, "null", "/large", "null"),
            Case(cairn, work, port, "small", f"/small/[1-{arguments.requests}]", "null"),
        ]
        times = {case.name: {candidate: [] for candidate in CANDIDATES} for case in cases}
        peaks = {case.name: {candidate: 0 for candidate in CANDIDATES} for case in cases}
        overhead = {candidate: [] for candidate in CANDIDATES}
        for number in range(arguments.rounds + 1):
            for case in [least, *cases]:
                for candidate in CANDIDATES:
                    seconds, peak = case.run(candidate)
                    if number == 0:
                        continue  # The first round warms.
                    if case is least:
                        overhead[candidate].append(0 if candidate == "bare" else seconds)
                        continue
                    times[case.name][candidate].append(seconds - overhead[candidate][-1])
                    peaks[case.name][candidate] = max(peak, peaks[case.name][candidate])
        for case in cases:
            of = times[case.name]
            for candidate in CANDIDATES:
                peak = peaks[case.name][candidate] / MB
                print(f"{case.name:6}{candidate:8}{shown(of[candidate]):>20} s{peak:6.0f} MB", flush=True)
            median = {candidate: statistics.median(of[candidate]) for candidate in CANDIDATES}
            if case.name == "small":
                print(f"      replay / record {median['replay'] / median['record']:.2f} (goal: 1)")
                continue
            print(
                f"      record / bare {median['record'] / median['bare']:.2f} (goal: 1.25), "
                f"replay / bare {median['replay'] / median['bare']:.2f} (goal: 1), "
                f"host / bare {median['host'] / median['bare']:.2f}"
            )
        print("without a download: " + ", ".join(
            f"{candidate} {statistics.median(overhead[candidate]):.2f} s" for candidate in CANDIDATES[1:]
        ))


if __name__ == "__main__":
    main()
