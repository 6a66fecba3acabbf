import attr


@attr.s
class Word:
    text = attr.ib()


print(Word("hush").text)
