import sys

import _fastsum

NAMES = {"one", "two", "three", "four", "five"}


def main():
    print(_fastsum.add(*map(int, sys.argv[1:3])))
