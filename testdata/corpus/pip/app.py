import flask
import requests
import yaml

app = flask.Flask(__name__)


@app.get("/")
def home():
    return yaml.safe_load("{of: yaml}")


if __name__ == "__main__":
    print(app.test_client().get("/").json, requests.__name__)
