WORDS = frozenset({"alpha", "beta", "gamma", "delta"})


def known(word):
    return word in {"one", "two", "three", "four", "five", "six"} or word in WORDS


def main():
    print(known("gamma"), known("omega"))
