#!/usr/bin/env python3
"""Makes a tree like a real node_modules: the same bytes for the same arguments, everywhere.

In: how many files and bytes, a seed, and the folder to make. Out: that folder, and one line with
what is in it. As in the tree that it stands for: most files are below 2 KB and a few have several
MB (log-normal), nine files a directory, scoped and nested packages, `.bin` full of links, npm's
one time of 1985; code, types, source maps, JSON and prose that gzip -6 packs about 4:1, and one
byte in twenty of what can't be packed. No two files are alike, and no 24 KB repeat.

    benches/tree.py --files 80000 --bytes 570000000 --seed 1 OUT
"""

import argparse
import hashlib
import math
import os
import random
import sys

FILES, BYTES, SEED = 80_000, 570_000_000, 1
# The time that npm gives to every file: 1985-10-26T08:15:00Z.
NPM_TIME = 499_162_500
MEDIAN, SPREAD = 1300, 1.84
POOL = 24 << 20

SYLLABLES = """ab ac ad al am an ap ar as at be bo bu ca ce ch ci co cu da de di do du el em en er es
ev ex fa fi fo fu ga ge go ha he hi ho id il im in io is it ja ke ki la le li lo lu ma me mi mo mu
na ne ni no ob of on op or os pa pe pi po pro pu qu ra re ri ro ru sa se sh si so st su ta te th ti
to tr tu un up ur us va ve vi vo wa we wi wo ya ze""".split()
KEYWORDS = """const let var function return if else for while new this null undefined true false
typeof instanceof throw try catch class extends import export default from async await""".split()
SHAPES = [
    "  const {a} = {b}.{c}({d}, {n});\n",
    "  if ({a} === {b}.{c}) {{\n    return {d}({a});\n  }}\n",
    "export function {a}({b}, {c}) {{\n  {k} {d}.{e}({b} + {c});\n}}\n\n",
    "    this.{a} = {b} || {{}};\n",
    "/**\n * {w} {w} the {w} of {w}, {w} when {w} is {w}.\n * @param {a} {w} {w} {w}\n */\n",
    "  {a}: {{ {b}: {n}, {c}: '{w}-{w}' }},\n",
    "export declare type {a} = {b} | {c}<{d}>;\n",
    "    readonly {a}?: {b}[];\n",
    "var {a} = require('./{w}/{w}'), {b} = {a}.{c};\n",
    "      throw new Error(`{w} {w} ${{{a}}} {w} {n}`);\n",
    '    "{w}": "^{n}.{n}.{n}",\n',
    "{a}.{b}.{c}=function({d}){{return {d}?{e}({d}):{n}}};",
    "  for (let {a} = 0; {a} < {b}.length; {a}++) {{\n    {c}[{a}] = {d}({b}[{a}]);\n  }}\n",
    "{w} {w} {w} {w} {w} {w}. {w} {w} {w} {w} {w} {w} {w} {w} {w}.\n",
]
FOLDERS = """lib dist src esm cjs es build types internal utils helpers locale fp plugins rules
_shared core modern node browser test docs umd runtime interfaces""".split()
ENDINGS = [
    (0.40, ".js"), (0.62, ".d.ts"), (0.72, ".js.map"), (0.79, ".mjs"), (0.85, ".json"),
    (0.91, ".md"), (0.95, ".ts"), (0.97, ".css"), (1.0, ".cjs"),
]
PACKED = [".node", ".wasm", ".png", ".woff2", ".gz"]
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


class Dice:
    """Python promises that random() gives the same for ever; nothing else of its module is used."""

    def __init__(self, seed):
        self.random = random.Random(seed).random

    def below(self, limit):
        return int(self.random() * limit)

    def one(self, items):
        return items[int(self.random() * len(items))]

    def common(self, items):
        """One of the items, the first ones far more often."""
        return items[int(self.random() ** 3 * len(items))]

    def normal(self):
        """Box and Muller's."""
        return math.sqrt(-2 * math.log(1 - self.random())) * math.cos(math.tau * self.random())


def words_of(dice, count):
    words = set()
    while len(words) < count:
        words.add("".join(dice.one(SYLLABLES) for _ in range(2 + dice.below(3))))
    return sorted(words, key=lambda word: hashlib.sha256(word.encode()).digest())


def code(dice, size):
    """Text as in packages. Each stretch has a vocabulary of its own, as each package has."""
    words = words_of(dice, 2500)
    parts, length = [], 0
    while length < size:
        local = [dice.common(words) for _ in range(24)]
        names = []
        for _ in range(24):
            first, second = dice.one(local), dice.one(local)
            names.append(dice.one([first, first + second.capitalize(), "_" + first]))
        end = length + 6000 + dice.below(12000)
        while length < end:
            text = dice.common(SHAPES).format(
                a=dice.common(names), b=dice.common(names), c=dice.common(names),
                d=dice.common(names), e=dice.common(names), k=dice.one(KEYWORDS),
                w=dice.common(local), n=dice.below(40),
            )
            parts.append(text)
            length += len(text)
    return "".join(parts)[:size].encode()


def mappings(dice, size):
    """Text as the `mappings` of source maps."""
    parts, length = [], 0
    while length < size:
        text = dice.one("AACEGIU") + "A" + dice.common("ACDEFGHIJ") + dice.common(BASE64)
        if dice.random() < 0.25:
            text += dice.common("ACDEGIK")
        text += ";" if dice.random() < 0.12 else ","
        parts.append(text)
        length += len(text)
    return "".join(parts)[:size].encode()


def folders_of(dice, count):
    """Paths of directories, each after the one that holds it."""
    words = words_of(dice, 1500)
    packages, folders, seen = [], [], set()

    def add(path):
        if path not in seen and len(folders) < count:
            seen.add(path)
            folders.append(path)
        return path

    while len(folders) < count:
        name = dice.one(words) + ("-" + dice.one(words) if dice.random() < 0.6 else "")
        if dice.random() < 0.3:
            name = add("@" + dice.common(words)) + "/" + name
        if packages and dice.random() < 0.1:
            name = add(dice.one(packages) + "/node_modules") + "/" + name.split("/")[-1]
        packages.append(add(name))
        inner = [name]
        for _ in range(dice.below(15)):
            inner.append(add(dice.one(inner) + "/" + dice.one(FOLDERS)))
    return folders


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--bytes", type=int, default=BYTES)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("out")
    arguments = parser.parse_args()
    if arguments.files < 1 or arguments.bytes < 0:
        sys.exit("tree.py: there must be files, and no less than no bytes")

    dice = Dice(arguments.seed)
    folders = folders_of(dice, max(1, arguments.files // 9))
    os.makedirs(arguments.out)
    for folder in folders:
        os.makedirs(os.path.join(arguments.out, folder), exist_ok=True)

    sizes = [MEDIAN * math.exp(SPREAD * dice.normal()) for _ in range(arguments.files)]
    scale = arguments.bytes / sum(sizes)
    sizes = [int(size * scale) for size in sizes]
    sizes[0] += arguments.bytes - sum(sizes)

    pool = min(POOL, max(arguments.bytes // 4, 1 << 16))
    texts, mapped = code(dice, pool), mappings(dice, pool // 4)
    noise = hashlib.shake_256(b"%d" % arguments.seed).digest(pool // 4)
    stem = words_of(dice, 1200)
    for number, size in enumerate(sizes):
        # Directories differ in how many files they hold.
        folder = folders[int(dice.random() ** 1.3 * len(folders))]
        packed = dice.random() < 0.05
        roll = dice.random()
        ending = dice.one(PACKED) if packed else next(e for p, e in ENDINGS if roll < p)
        name = f"{folder}/{dice.one(stem)}{number}{ending}"
        sources = [noise] if packed else [texts]
        if ending == ".js.map":
            sources = [mapped, texts]
        content = bytearray(f"/* {name} */\n".encode()[:size])
        while len(content) < size:
            source = dice.one(sources)
            start = dice.below(len(source))
            content += source[start : start + min(8192 + dice.below(16384), size - len(content))]
        path = os.path.join(arguments.out, name)
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, 0o755 if dice.random() < 0.01 else 0o644)
        os.utime(path, (NPM_TIME, NPM_TIME))

    binaries = os.path.join(arguments.out, ".bin")
    os.makedirs(binaries)
    links = arguments.files // 200
    for number in range(links):
        target = f"../{dice.one(folders)}/{dice.one(stem)}.js"
        os.symlink(target, f"{binaries}/{stem[number % len(stem)]}-{number}")
    print(
        f"{arguments.out}: {len(sizes)} files, {sum(sizes)} bytes, {len(folders) + 1} directories,"
        f" {links} links"
    )


if __name__ == "__main__":
    main()
