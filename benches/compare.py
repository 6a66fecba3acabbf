#!/usr/bin/env python3
"""Runs cairn beside its peers on one tree and prints what each took, as Markdown.

In: the tree of `tree.py`, or `--tree DIR`; each candidate that is installed. Out: on standard
output a table of times, CPU, peak memory and sizes, and one of ratios beside the goals.

The work is `FROM scratch; COPY . /app` to an OCI archive. Each round runs every candidate once,
short ones `--repeats` times and in turn with the peer that they are compared with; a ratio is made
of two runs that stood beside each other, and what is printed is the median, with the least and the
most. The page cache is warm: the tree is read once before. All runs have `--cores` cores. The one
file that changes is cairn-bench-changed.txt, which is added to the tree and removed again. All
else is written below `--work` and deleted in the end.

    benches/compare.py [--rounds 3] [--tree DIR] [--only NAME,NAME] [--cairn target/release/cairn]
"""

import argparse
import os
import resource
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CHANGED = "cairn-bench-changed.txt"
RECIPE = """platforms = ["linux/amd64"]
from = "scratch"

[[steps]]
copy = { paths = ["."], to = "/app/" }
"""


class Run:
    """One finished command."""

    def __init__(self, seconds, usage, size):
        self.seconds = seconds
        self.cpu = usage.ru_utime + usage.ru_stime
        self.peak = usage.ru_maxrss * 1024
        self.size = size


class Bench:
    def __init__(self, arguments, work):
        self.rounds, self.repeats = arguments.rounds, arguments.repeats
        self.cairn = os.path.abspath(arguments.cairn)
        self.only = arguments.only.split(",") if arguments.only else None
        self.work = work
        self.tree = os.path.abspath(arguments.tree or os.path.join(work, "tree"))
        self.home = os.path.join(work, "home")
        self.out = os.path.join(work, "out")
        self.changes = 0
        self.runs, self.failed, self.digests = {}, {}, {}

    def wants(self, name):
        return name not in self.failed and (not self.only or name in self.only)

    def run(self, name, command, env=None, clean=()):
        """Deletes `clean`, then times `command`; none if it failed now or before."""
        if not self.wants(name):
            return None
        for path in [*clean, self.out]:
            remove(path)
        # What an earlier run left to be written is not this one's.
        os.sync()
        log = os.path.join(self.work, "log")
        with open(log, "wb") as stderr, open(os.path.join(self.work, "stdout"), "wb") as stdout:
            started = time.monotonic()
            child = subprocess.Popen(
                command, cwd=self.tree, env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
            )
            _, status, usage = os.wait4(child.pid, 0)
            seconds = time.monotonic() - started
            child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            with open(log, errors="replace") as text:
                lines = text.read().strip().splitlines() or ["it said nothing"]
            self.failed[name] = f"exit code {child.returncode}: {lines[-1][:200]}"
            return None
        size = os.path.getsize(self.out) if os.path.isfile(self.out) else None
        result = Run(seconds, usage, size)
        self.runs.setdefault(name, []).append(result)
        print(f"{name}: {seconds:.3f} s", file=sys.stderr)
        return result

    def build(self, name, zstd=False, cold=False):
        """`cairn build`; its digest must be the same for the same tree, round after round."""
        recipe = os.path.join(self.work, "cairn.toml")
        output = f"type=oci,dest={self.out}" + (",compression=zstd" if zstd else "")
        command = [self.cairn, "build", "-f", recipe, "-o", output, self.tree]
        clean = [self.home] if cold else []
        result = self.run(name, command, {"CAIRN_HOME": self.home}, clean)
        if result and result.size is None:
            self.failed[name] = "it wrote no archive"
            self.runs.pop(name)
            return None
        if result:
            with open(os.path.join(self.work, "stdout")) as text:
                digest = text.read().strip()
            known = self.digests.setdefault((zstd, self.changes), digest)
            if known != digest:
                sys.exit(f"compare.py: `{name}` gives {digest}, an earlier run {known}")
        return result

    def shell(self, name, command, clean=()):
        return self.run(name, ["bash", "-o", "pipefail", "-c", command], clean=clean)

    def change(self):
        self.changes += 1
        with open(os.path.join(self.tree, CHANGED), "w") as file:
            file.write(f"change {self.changes}\n")


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


def has(program):
    return shutil.which(program) is not None


def peers(bench):
    """What others take for the same: name and a call that runs it once."""
    tree, work, out = (shlex.quote(path) for path in (bench.tree, bench.work, bench.out))
    if has("pigz"):
        yield "tar, pigz -6", lambda: bench.shell("tar, pigz -6", f"tar c . | pigz -6 > {out}")
    if has("zstd"):
        pipe = f"tar c . | zstd -q -3 -T2 > {out}"
        yield "tar, zstd -3 -T2", lambda: bench.shell("tar, zstd -3 -T2", pipe)
    if has("buildah"):
        store = os.path.join(bench.work, "buildah")
        with open(os.path.join(bench.work, "Dockerfile"), "w") as file:
            file.write("FROM scratch\nCOPY . /app\n")
        buildah = f"buildah --root {work}/buildah/root --runroot {work}/buildah/run --storage-driver vfs"
        build = f"{buildah} bud -q --layers --isolation chroot -f {work}/Dockerfile -t bench {tree}"
        push = f"{buildah} push -q bench oci-archive:{out}"
        both = f"{build} && {push}"
        yield "buildah", lambda: bench.shell("buildah", both, [store])
        yield "buildah, unchanged", lambda: bench.shell("buildah, unchanged", both)
    if has("umoci"):
        layout = os.path.join(bench.work, "umoci")
        make = f"umoci init --layout {work}/umoci && umoci new --image {work}/umoci:bench"
        insert = f"umoci insert --image {work}/umoci:bench {tree} /app"
        pack = f"tar cf {out} -C {work}/umoci ."
        command = f"{make} && {insert} && {pack}"
        yield "umoci insert", lambda: bench.shell("umoci insert", command, [layout])
    if has("crane"):
        layer = f"{work}/layer.tar"
        append = f"tar cf {layer} . && crane append --oci-empty-base -f {layer} -t bench -o {out}"
        clean = [os.path.join(bench.work, "layer.tar")]
        yield "crane append", lambda: bench.shell("crane append", append, clean)
    if has("buildctl") and "BUILDKIT_HOST" in os.environ:
        build = (
            f"buildctl build --progress=plain --frontend dockerfile.v0 --local context={tree}"
            f" --local dockerfile={work} --output type=oci,dest={out}"
        )
        subprocess.run(["buildctl", "prune", "--all"], stdout=subprocess.DEVNULL, check=False)
        yield "buildkit", lambda: bench.shell("buildkit", build)
        yield "buildkit, unchanged", lambda: bench.shell("buildkit, unchanged", build)


def round_of(bench, ratios):
    """Everything once. Short candidates stand right beside what they are compared with."""

    def pair(title, goal, ours, theirs):
        ours, theirs = ours(), theirs()
        if ours and theirs:
            ratios.setdefault((title, goal), []).append((ours.seconds, theirs.seconds))

    others = dict(peers(bench))
    bench.change()
    gzip = bench.build("cairn, cold", cold=True)
    for name in [name for name in others if name != "tar, zstd -3 -T2"]:
        theirs = others[name]()
        if not gzip or not theirs or name.endswith(", unchanged"):
            continue
        goal = {"tar, pigz -6": "< 0.6", "buildah": "< 1/7 = 0.143"}.get(name, "")
        ratios.setdefault((f"cold: cairn / {name}", goal), []).append((gzip.seconds, theirs.seconds))

    walk = ["find", ".", "-printf", "%s %T@\\n"]
    for _ in range(bench.repeats):
        pair("nothing changed: cairn / find", "< 2",
             lambda: bench.build("cairn, nothing changed"), lambda: bench.run("find", walk))
    for _ in range(bench.repeats):
        bench.change()
        pair("one file changed: cairn / find", "< 5",
             lambda: bench.build("cairn, one file changed"), lambda: bench.run("find", walk))
    if "tar, zstd -3 -T2" in others:
        pair("zstd, cold: cairn / tar, zstd -3 -T2", "< 1.3",
             lambda: bench.build("cairn, zstd, cold", zstd=True, cold=True),
             others["tar, zstd -3 -T2"])

    remove(bench.home)
    empty = {"CAIRN_HOME": bench.home}
    for _ in range(4 * bench.repeats):
        for name, command in [("cairn --version", ["--version"]), ("cairn images", ["images"])]:
            pair(f"start: {name} - true", "< 10 ms",
                 lambda: bench.run(name, [bench.cairn, *command], empty),
                 lambda: bench.run("true", ["true"]))


def spread(values, digits, unit=""):
    values = sorted(values)
    middle = statistics.median(values)
    text = f"{middle:.{digits}f}{unit}"
    if len(values) > 1:
        text += f" ({values[0]:.{digits}f}–{values[-1]:.{digits}f})"
    return text


def report(bench, ratios):
    files = folders = links = total = 0
    for folder, names, others in os.walk(bench.tree):
        folders += 1
        for name in names + others:
            status = os.lstat(os.path.join(folder, name))
            if os.path.islink(os.path.join(folder, name)):
                links += 1
            elif name in others:
                files += 1
                total += status.st_size
    cores = len(os.sched_getaffinity(0))
    print(f"{files} files, {total} bytes, {folders} directories, {links} links; {cores} cores,")
    print(f"{bench.rounds} rounds, page cache warm; medians, with the least and the most.")
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(f"A peak of up to {own:.0f} MB may be that of the bench, whose child each candidate is.\n")
    print("| candidate | runs | seconds | CPU seconds | peak MB | output MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, runs in bench.runs.items():
        size = runs[-1].size
        print(
            f"| {name} | {len(runs)} | {spread([run.seconds for run in runs], 3)}"
            f" | {statistics.median(run.cpu for run in runs):.3f}"
            f" | {max(run.peak for run in runs) / 1e6:.0f}"
            f" | {'' if size is None else f'{size / 1e6:.1f}'} |"
        )
    print("\n| compared, run by run | pairs | result | goal |")
    print("| --- | --- | --- | --- |")
    for (title, goal), pairs in ratios.items():
        if title.startswith("start"):
            result = spread([1000 * (ours - theirs) for ours, theirs in pairs], 1, " ms")
        else:
            result = spread([ours / theirs for ours, theirs in pairs], 3)
        print(f"| {title} | {len(pairs)} | {result} | {goal} |")
    for name, reason in bench.failed.items():
        print(f"\n`{name}` was left out: {reason}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often all is run")
    parser.add_argument("--repeats", type=int, default=5, help="of short candidates, in a round")
    parser.add_argument("--tree", help="a folder to use in place of a made one")
    parser.add_argument("--files", type=int, help="of the made tree")
    parser.add_argument("--bytes", type=int, help="of the made tree")
    parser.add_argument("--seed", type=int, help="of the made tree")
    parser.add_argument("--work", help="a folder to work in; what is made there is deleted")
    parser.add_argument("--only", help="names of candidates, parted by commas")
    parser.add_argument("--cores", type=int, default=2, help="that every candidate may use")
    parser.add_argument("--cairn", default=os.path.join(HERE, "../target/release/cairn"))
    arguments = parser.parse_args()
    if arguments.tree and os.path.lexists(os.path.join(arguments.tree, CHANGED)):
        sys.exit(f"compare.py: `{arguments.tree}` has a file named {CHANGED}, which is to be made")
    if not os.path.isfile(arguments.cairn):
        sys.exit(f"compare.py: no `{arguments.cairn}`; run `cargo build --release` first")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cores])
    if arguments.work:
        os.makedirs(arguments.work, exist_ok=True)
    work = tempfile.mkdtemp(prefix="cairn-bench-", dir=arguments.work)
    bench, ratios = Bench(arguments, work), {}
    try:
        if not arguments.tree:
            command = [sys.executable, os.path.join(HERE, "tree.py"), bench.tree]
            for option in ("files", "bytes", "seed"):
                if getattr(arguments, option) is not None:
                    command += [f"--{option}", str(getattr(arguments, option))]
            subprocess.run(command, stdout=sys.stderr, check=True)
        with open(os.path.join(work, "cairn.toml"), "w") as file:
            file.write(RECIPE)
        # Reads all once, so that the first candidate finds what the others find.
        subprocess.run(["bash", "-c", "tar c . | cat > /dev/null"], cwd=bench.tree, check=True)
        for number in range(bench.rounds):
            print(f"round {number + 1} of {bench.rounds}", file=sys.stderr)
            round_of(bench, ratios)
        report(bench, ratios)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        remove(os.path.join(bench.tree, CHANGED))
        remove(work)


if __name__ == "__main__":
    main()
