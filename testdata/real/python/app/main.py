"""A page that counts the letters of a word."""

from flask import Flask

app = Flask(__name__)


@app.get("/")
def home() -> str:
    return "letters\n"


@app.get("/count/<word>")
def count(word: str) -> dict:
    return {"word": word, "letters": len(word)}
