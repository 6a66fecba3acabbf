#!/usr/bin/env python3
"""Times what commands do in RUN, beside Buildah and beside a bare crun.

In: Debian's mmdebstrap, buildah, crun, `--cairn`. Needs root, for the peers. Out: on standard output
a table of ratios beside the goals; each round runs every candidate once, one after the other, and
printed are the median, the least and the most.

| measure | what |
| --- | --- |
| apt | `apt-get update && apt-get install gcc make`, packages from a server on the loopback: time |
| make | `make` of 30 C files in a file system in memory: CPU time of all processes |
| exec | a shell's loop that executes 900 programs: CPU time of all processes |

Of make and exec there are two ratios: beside crun, and beside the same in cairn without a clock and chance
of the command's own, which is how a command runs that reaches the network without a lock.

    benches/work.py [--rounds 5] [--cairn target/release/cairn]
"""

import argparse
import functools
import http.server
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from run import Buildah, in_cgroup2, shown, write

PACKAGES = ["gcc", "make", "libc6-dev"]
APT = (
    "RUN apt-get -qq update && DEBIAN_FRONTEND=noninteractive "
    f"apt-get -qq install -y --no-install-recommends {' '.join(PACKAGES)} >/dev/null\n"
)
COMMANDS = {
    "make": "cp /src/* /w/ && make -s -C /w",
    "exec": "i=0; while [ $i -lt 900 ]; do /bin/true; i=$((i+1)); done",
}


def used(command):
    """Seconds that the command took, and CPU seconds of all processes that it waited for."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}:\n{done.stderr.decode()[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu


def sources(folder):
    """30 C files that take a compiler some while, and their Makefile."""
    os.makedirs(folder)
    for number in range(30):
        lines = ["#include <stdio.h>", "#include <stdlib.h>", "#include <string.h>"]
        for function in range(150):
            lines.append(
                f"int f{number}_{function}(int a, int b) {{ char text[64]; int sum = {function};"
                " for (int i = 0; i < a; i++) { sum += i * b ^ (sum << 3);"
                ' snprintf(text, sizeof text, "%d %d", sum, i); sum += (int)strlen(text); }'
                " return sum % 1000; }"
            )
        with open(os.path.join(folder, f"f{number}.c"), "w") as file:
            file.write("\n".join(lines) + "\n")
    with open(os.path.join(folder, "Makefile"), "w") as file:
        file.write("all: $(patsubst %.c,%.o,$(wildcard *.c))\n%.o: %.c\n\t$(CC) -O1 -c -o $@ $<\n")


def debian(work):
    """A minimal Debian, and beside it the packages that are installed, as a repository."""
    packages = " ".join(PACKAGES)
    hooks = [
        f'chroot "$1" apt-get -qq -y --no-install-recommends --download-only install {packages} >/dev/null',
        f'mkdir -p {work}/served/repo && mv "$1"/var/cache/apt/archives/*.deb {work}/served/repo/',
        'rm -f "$1"/etc/apt/sources.list.d/*; '
        'echo "deb [trusted=yes] http://repo:8123/ repo/" >"$1"/etc/apt/sources.list',
    ]
    mirrors = next(
        path
        for path in ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"]
        if os.path.exists(path)
    )
    hooks = [f"--customize-hook={hook}" for hook in hooks]
    base = os.path.join(work, "base")
    os.makedirs(base)
    command = ["mmdebstrap", "--variant=minbase", "--quiet", "--skip=cleanup/apt/cache", *hooks]
    used([*command, "bookworm", f"{base}/debian.tar", mirrors])
    served = f"{work}/served"
    with open(f"{served}/repo/Packages", "w") as file:
        subprocess.run(
            ["dpkg-scanpackages", "-m", "repo"], cwd=served, stdout=file, stderr=subprocess.DEVNULL, check=True
        )
    write(base, "FROM scratch\nADD debian.tar /\nENV PATH=/usr/sbin:/usr/bin:/sbin:/bin\n")
    return base


def serve(folder):
    """Serves it on the loopback until this program ends."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 8123), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def bundle(work, root):
    """An OCI bundle of that root: what crun runs."""
    folder = os.path.join(work, "bundle")
    os.makedirs(folder)
    subprocess.run(["crun", "spec"], cwd=folder, check=True)
    with open(f"{folder}/config.json") as file:
        spec = json.load(file)
    spec["root"] = {"path": root, "readonly": True}
    spec["process"]["terminal"] = False
    spec["mounts"].append({"destination": "/w", "type": "tmpfs", "source": "tmpfs"})
    return folder, spec


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cairn", default="target/release/cairn")
    arguments = parser.parse_args()
    for program in ["mmdebstrap", "buildah", "crun", "dpkg-scanpackages"]:
        if not shutil.which(program):
            sys.exit(f"{program} is not installed")
    cairn = os.path.abspath(arguments.cairn)
    with tempfile.TemporaryDirectory(prefix="cairn-work-") as work:
        build = [cairn, "build", "-q", "--store", f"{work}/store"]
        buildah = Buildah("crun", work)
        base = debian(work)
        serve(f"{work}/served")
        used([*build, "-t", "localhost/debian", base])
        buildah.base(base, "debian")
        apt = write(f"{work}/apt", f"FROM localhost/debian AS run\n{APT}")
        sources(f"{work}/tools/src")
        tools = write(
            f"{work}/tools", f"FROM localhost/debian\n{APT}COPY src /src\nRUN mkdir -p /w\n"
        )
        fresh = [*build, "--no-cache-filter", "run"]
        gateway = ["--add-host", "repo:host-gateway"]
        host = ["--add-host", "repo:127.0.0.1", "--network", "host"]
        bud = [*buildah.command, "bud", "-q", *buildah.runtime, *host, "--layers", "--no-cache"]
        used([*build, *gateway, "-t", "localhost/tools", "-o", f"{work}/root", tools])
        folder, spec = bundle(work, f"{work}/root")
        recipes = {"none": write(f"{work}/none", "FROM localhost/tools AS run\nLABEL a=b\n")}
        for name, command in COMMANDS.items():
            for kind, flag in [("", "--network=none "), ("-off", "")]:
                line = f"RUN {flag}--mount=type=tmpfs,target=/w {command}\n"
                recipe = f"FROM localhost/tools AS run\n{line}"
                recipes[name + kind] = write(f"{work}/{name}{kind}", recipe)
        ratios = {name: [] for name in ["apt", *COMMANDS, *(f"{name}-off" for name in COMMANDS)]}
        for number in range(arguments.rounds + 1):
            ours, _ = used([*fresh, *gateway, apt])
            theirs, _ = used([*bud, apt])
            found = {"apt": ours / theirs}
            _, none = used([*fresh, recipes["none"]])
            for name, command in COMMANDS.items():
                _, ours = used([*fresh, recipes[name]])
                _, off = used([*fresh, recipes[f"{name}-off"]])
                spec["process"]["args"] = ["/bin/sh", "-c", command]
                with open(f"{folder}/config.json", "w") as file:
                    json.dump(spec, file)
                run = ["crun", "--cgroup-manager=disabled", "run", "-b", folder, f"bench-{os.getpid()}"]
                _, theirs = used(in_cgroup2(run))
                found[name] = (ours - none) / theirs
                found[f"{name}-off"] = (ours - none) / (off - none)
            # The first round fills caches.
            if number:
                for name, ratio in found.items():
                    ratios[name].append(ratio)
        print("| measure | ratio | goal |\n| --- | --- | --- |")
        for name, title, goal in [
            ("apt", "apt-get install, time, cairn / Buildah with crun", 1.0),
            ("make", "make of 30 C files, CPU, cairn / crun", 1.05),
            ("make-off", "make of 30 C files, CPU, cairn / cairn without clock and chance", 1.05),
            ("exec", "900 execs of a shell, CPU, cairn / crun", 1.15),
            ("exec-off", "900 execs of a shell, CPU, cairn / cairn without clock and chance", 1.15),
        ]:
            ratios_of = ratios[name]
            print(f"| {title} | {shown([100 * ratio for ratio in ratios_of])} % | {100 * goal:.0f} % |")


if __name__ == "__main__":
    main()
