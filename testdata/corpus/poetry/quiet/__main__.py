"""Says it quietly."""
from dataclasses import dataclass


@dataclass
class Word:
    text: str


print(Word("hush").text)
