#!/usr/bin/env python3
"""What a clock, chance and host of its own cost a command: beside the same command in cairn with the
measures off, and in a bare crun.

In: Debian's mmdebstrap and crun, `--cairn`. Needs root, for crun. Out: on standard output a table of
ratios beside the goals; each round runs every candidate once, one after the other, and printed are the
median, the least and the most.

| measure | what |
| --- | --- |
| make | `make` of 30 C files in a file system in memory |
| exec | a shell's loop that executes 900 programs |
| cargo | `cargo build` of a crate of 40 modules |
| clock | a program that reads the clock ten million times |
| java | `javac` of 200 classes, and their archive |
| node | `tsc` of 100 modules |

Compared is the CPU time of all processes, less that of a build without the command. Off are the clock
and chance, as for a command that reaches the network without a lock; the host's facts are always on.

    benches/cost.py [--rounds 5] [--only make,exec] [--cairn target/release/cairn]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

from run import in_cgroup2, shown, write
from work import used

PACKAGES = ["gcc", "make", "libc6-dev", "cargo", "openjdk-17-jdk-headless", "nodejs", "node-typescript"]
COMMANDS = {
    "make": ("cp /src/c/* /w/ && make -s -C /w", 1.05),
    "exec": ("i=0; while [ $i -lt 900 ]; do /bin/true; i=$((i+1)); done", 1.15),
    "cargo": ("cp -r /src/rust /w/ && cd /w/rust && HOME=/w cargo build -q --offline", 1.03),
    "clock": ("/src/clock 10000000", 1.0),
    # A virtual machine fits itself to processors and memory, of which cairn shows others.
    "java": (
        "export JAVA_TOOL_OPTIONS='-XX:ActiveProcessorCount=2 -Xms512m -Xmx512m'; "
        "javac -d /w/out /src/java/*.java && jar cf /w/all.jar -C /w/out .",
        1.05,
    ),
    "node": ("tsc --outDir /w/out --module commonjs --target es2019 --typeRoots /w/none /src/node/*.ts", 1.05),
}
CLOCK = """
#include <stdlib.h>
#include <time.h>
int main(int count, char **arguments) {
    struct timespec now;
    for (long left = count > 1 ? atol(arguments[1]) : 0; left > 0; left--)
        if (clock_gettime(CLOCK_REALTIME, &now)) return 1;
    return 0;
}
"""


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


def bundle(work, root):
    """An OCI bundle of that root: what crun runs."""
    folder = os.path.join(work, "bundle")
    os.makedirs(folder)
    subprocess.run(["crun", "spec"], cwd=folder, check=True)
    with open(f"{folder}/config.json") as file:
        spec = json.load(file)
    spec["root"] = {"path": root, "readonly": False}
    spec["process"]["terminal"] = False
    spec["mounts"].append({"destination": "/w", "type": "tmpfs", "source": "tmpfs"})
    return folder, spec


def put(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def rust(folder):
    """A crate of modules with generic code, as a library of middle size has them."""
    put(f"{folder}/Cargo.toml", '[package]\nname = "bench"\nversion = "1.0.0"\nedition = "2021"\n')
    modules = []
    for number in range(40):
        text = "use std::collections::BTreeMap;\n"
        for item in range(25):
            text += (
                f"#[derive(Debug, Clone, PartialEq, Default)]\npub struct S{item}<T> {{ pub a: Vec<T>, pub b: String }}\n"
                f"impl<T: Clone + std::fmt::Debug + Ord> S{item}<T> {{\n"
                "    pub fn group(&self) -> BTreeMap<T, usize> {\n"
                "        let mut all = BTreeMap::new();\n"
                "        for it in &self.a { *all.entry(it.clone()).or_insert(0) += 1; }\n        all\n    }\n"
                '    pub fn text(&self) -> String { format!("{:?} {}", self.a, self.b) }\n}\n'
                f"pub fn f{item}(n: u64) -> usize {{ let s = S{item} {{ a: vec![n, n + 1], b: n.to_string() }};"
                " s.group().len() + s.text().len() }\n"
            )
        put(f"{folder}/src/m{number}.rs", text)
        modules.append(f"pub mod m{number};\n")
    put(f"{folder}/src/lib.rs", "".join(modules))


def java(folder):
    for number in range(200):
        methods = "".join(
            f"    public int m{item}(java.util.List<Integer> all) {{ return all.stream()"
            f".filter(it -> it > {item}).mapToInt(it -> it * {number + 1}).sum(); }}\n"
            for item in range(30)
        )
        put(f"{folder}/C{number}.java", f"public class C{number} {{\n{methods}}}\n")


def node(folder):
    for number in range(100):
        before = f'import {{ f0 as g }} from "./m{number - 1}";\n' if number else "const g = (n: number) => n;\n"
        functions = "".join(
            f"export function f{item}(n: number): number {{\n"
            f"    const all: Map<string, number[]> = new Map([['a', [n, {item}]]]);\n"
            "    let sum = g(n);\n    for (const [name, values] of all) sum += name.length + values.length;\n"
            "    return sum;\n}\n"
            for item in range(40)
        )
        put(f"{folder}/m{number}.ts", before + functions)


def image(work):
    """A Debian with compilers, and beside it the sources."""
    base = os.path.join(work, "base")
    sources(f"{base}/src/c")
    rust(f"{base}/src/rust")
    java(f"{base}/src/java")
    node(f"{base}/src/node")
    put(f"{base}/src/clock.c", CLOCK)
    mirrors = next(
        path
        for path in ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"]
        if os.path.exists(path)
    )
    include = f"--include={','.join(PACKAGES)}"
    command = ["mmdebstrap", "--variant=minbase", "--quiet", include, "bookworm", f"{base}/debian.tar"]
    used([*command, mirrors])
    write(
        base,
        "FROM scratch\nADD debian.tar /\nENV PATH=/usr/sbin:/usr/bin:/sbin:/bin\nCOPY src /src\n"
        "RUN mkdir -p /w && gcc -O1 -o /src/clock /src/clock.c\n",
    )
    return base


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(COMMANDS))
    parser.add_argument("--cairn", default="target/release/cairn")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    for program in ["mmdebstrap", "crun"]:
        if not shutil.which(program):
            sys.exit(f"{program} is not installed")
    cairn = os.path.abspath(arguments.cairn)
    with tempfile.TemporaryDirectory(prefix="cairn-cost-") as work:
        build = [cairn, "build", "-q", "--store", f"{work}/store"]
        base = image(work)
        used([*build, "-t", "localhost/tools", "-o", f"{work}/root", base])
        folder, spec = bundle(work, f"{work}/root")
        recipes = {"none": write(f"{work}/none", "FROM localhost/tools AS run\nLABEL a=b\n")}
        for name in names:
            for kind, flag in [("", "--network=none "), ("-off", "")]:
                line = f"RUN {flag}--mount=type=tmpfs,target=/w {COMMANDS[name][0]}\n"
                recipes[name + kind] = write(f"{work}/{name}{kind}", f"FROM localhost/tools AS run\n{line}")
        fresh = [*build, "--no-cache-filter", "run"]
        ratios = {name: ([], []) for name in names}
        for number in range(arguments.rounds + 1):
            _, none = used([*fresh, recipes["none"]])
            for name in names:
                _, ours = used([*fresh, recipes[name]])
                _, off = used([*fresh, recipes[f"{name}-off"]])
                spec["process"]["args"] = ["/bin/sh", "-c", COMMANDS[name][0]]
                with open(f"{folder}/config.json", "w") as file:
                    json.dump(spec, file)
                run = ["crun", "--cgroup-manager=disabled", "run", "-b", folder, f"bench-{os.getpid()}"]
                _, theirs = used(in_cgroup2(run))
                # The first round fills caches.
                if number:
                    for found, beside in zip(ratios[name], [off - none, theirs]):
                        found.append(100 * (ours - none) / beside)
        print("| measure | beside measures off | beside crun | goal |\n| --- | --- | --- | --- |")
        for name in names:
            off, crun = (shown(found) for found in ratios[name])
            print(f"| {name} | {off} % | {crun} % | {100 * COMMANDS[name][1]:.0f} % |")


if __name__ == "__main__":
    main()
