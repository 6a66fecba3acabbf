#!/usr/bin/env python3
"""Times a minimal Debian made of packages: cairn beside mmdebstrap.

In: Debian's mmdebstrap and apt, `--cairn`, an archive of bookworm that this machine's apt has; root.
Out: on standard output a table of seconds, and of ratios beside the goals. What both need of the
archive is fetched once and served on the loopback, to both. Each round runs every candidate once,
one after the other; printed are the median, the least and the most.

| measure | what |
| --- | --- |
| cold | minbase from the archive, with a store (or folder) that has nothing |
| warm | the same again, with the same store; its goal is a part of mmdebstrap's time |

    benches/packages.py [--rounds 3] [--cairn target/release/cairn]
"""

import argparse
import functools
import http.server
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def timed(command, **options):
    started = time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, **options)
    seconds = time.monotonic() - started
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}:\n{done.stderr.decode()[-2000:]}")
    return seconds


def shown(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def mirror():
    """The archive of bookworm that this machine's apt has."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)"]
    command += ["Created-By: Packages", "Codename: bookworm"]
    listed = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
    if not listed:
        sys.exit("this machine's apt has no bookworm")
    return listed[0].rstrip("/")


class Mirror(http.server.SimpleHTTPRequestHandler):
    """Has what it was asked for before; fetches the rest from the archive."""

    protocol_version = "HTTP/1.1"
    upstream = ""

    def log_message(self, *_):
        pass

    def send_head(self):
        place = self.translate_path(self.path)
        if not os.path.isfile(place):
            try:
                with urllib.request.urlopen(self.upstream + self.path) as answer:
                    content = answer.read()
            except urllib.error.HTTPError as error:
                self.send_error(error.code)
                return None
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.directory, delete=False) as file:
                file.write(content)
            os.rename(file.name, place)
        return super().send_head()


def serve(folder, upstream):
    """Serves the archive on the loopback until this program ends; says where."""
    handler = type("Handler", (Mirror,), {"upstream": upstream})
    handler = functools.partial(handler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cairn", default="target/release/cairn")
    arguments = parser.parse_args()
    if not shutil.which("mmdebstrap"):
        sys.exit("mmdebstrap is not installed")
    cairn = os.path.abspath(arguments.cairn)
    with tempfile.TemporaryDirectory(prefix="cairn-packages-") as work:
        os.makedirs(f"{work}/served")
        archive = serve(f"{work}/served", mirror())
        os.makedirs(f"{work}/recipe")
        shutil.copy(KEYRING, f"{work}/recipe/debian.gpg")
        with open(f"{work}/recipe/cairn.toml", "w") as file:
            file.write(
                'from = "scratch"\n[[steps]]\npackages.debian = { suite = "bookworm", '
                f'variant = "minbase", mirror = "{archive}", keys = ["debian.gpg"] }}\n'
            )
        with open(f"{work}/bookworm.list", "w") as file:
            file.write(f"deb [signed-by={KEYRING}] {archive} bookworm main\n")
        hooks = "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr"
        mmdebstrap = ["mmdebstrap", "--quiet", "--variant=minbase", hooks, "bookworm"]
        times = {"cold": [], "warm": [], "mmdebstrap": []}
        for number in range(arguments.rounds + 1):
            store = f"{work}/store"
            build = [cairn, "build", "-q", "--store", store, f"{work}/recipe"]
            cold, warm = timed(build), timed(build)
            peer = timed([*mmdebstrap, f"{work}/peer.tar", f"{work}/bookworm.list"])
            shutil.rmtree(store)
            os.remove(f"{work}/peer.tar")
            # The first round fetches what is served.
            if number:
                for name, seconds in [("cold", cold), ("warm", warm), ("mmdebstrap", peer)]:
                    times[name].append(seconds)
        print("| measure | seconds | of mmdebstrap's | goal |\n| --- | --- | --- | --- |")
        for name, goal in [("cold", 1.0), ("warm", 0.1)]:
            pairs = zip(times[name], times["mmdebstrap"])
            ratios = [100 * ours / theirs for ours, theirs in pairs]
            print(f"| {name} | {shown(times[name])} | {shown(ratios)} % | {100 * goal:.0f} % |")
        print(f"| mmdebstrap | {shown(times['mmdebstrap'])} | | |")


if __name__ == "__main__":
    main()
