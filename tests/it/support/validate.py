"""Checks documents against the JSON Schemas of image-spec.

Arguments: the folder of the schemas, then a schema's file name and a document by turns.
Says what is wrong on standard output, and exits with 1 if anything is.
"""

import json
import os
import sys

import jsonschema

folder = sys.argv[1]


def load(uri):
    # The schemas' ids are addresses on the web; files of these names stand side by side here.
    with open(os.path.join(folder, uri.split("#")[0].rsplit("/", 1)[1]), encoding="utf-8") as file:
        return json.load(file)


wrong = False
for schema, path in zip(sys.argv[2::2], sys.argv[3::2]):
    address = "https://opencontainers.org/schema/image/" + schema
    resolver = jsonschema.RefResolver(address, load(address), handlers={"https": load})
    validator = jsonschema.Draft4Validator(load(address), resolver=resolver)
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    for error in validator.iter_errors(document):
        print(f"{path} by {schema}: {error.json_path}: {error.message}")
        wrong = True
sys.exit(1 if wrong else 0)
