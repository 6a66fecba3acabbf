from setuptools import setup

setup(name="wordset", version="1.1", package_dir={"": "lib"}, py_modules=["wordset"])
