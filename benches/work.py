#!/usr/bin/env python3
"""Times an installation in RUN, beside Buildah with crun.

In: Debian's mmdebstrap, buildah, crun, dpkg-dev, `--cairn`. Needs root, for the peers. Out: on standard
output the ratio of `apt-get update && apt-get install gcc make`, packages from a server on the loopback,
beside the goal; each round runs both, one after the other, and printed are the median, the least and the
most.

    benches/work.py [--rounds 5] [--cairn target/release/cairn]
"""

import argparse
import functools
import http.server
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from run import Buildah, shown, write

PACKAGES = ["gcc", "make", "libc6-dev"]
APT = (
    "RUN apt-get -qq update && DEBIAN_FRONTEND=noninteractive "
    f"apt-get -qq install -y --no-install-recommends {' '.join(PACKAGES)} >/dev/null\n"
)


def used(command):
    """Seconds that the command took, and CPU seconds of all processes that it waited for."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}:\n{done.stderr.decode()[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu


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
        fresh = [*build, "--no-cache-filter", "run"]
        gateway = ["--add-host", "repo:host-gateway"]
        host = ["--add-host", "repo:127.0.0.1", "--network", "host"]
        bud = [*buildah.command, "bud", "-q", *buildah.runtime, *host, "--layers", "--no-cache"]
        ratios = []
        for number in range(arguments.rounds + 1):
            ours, _ = used([*fresh, *gateway, apt])
            theirs, _ = used([*bud, apt])
            # The first round fills caches.
            if number:
                ratios.append(100 * ours / theirs)
        print("| measure | ratio | goal |\n| --- | --- | --- |")
        print(f"| apt-get install, time, cairn / Buildah with crun | {shown(ratios)} % | 100 % |")


if __name__ == "__main__":
    main()
