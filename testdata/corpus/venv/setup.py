from setuptools import Extension, setup

setup(
    name="fastsum",
    version="0.1",
    py_modules=["fastsum_cli"],
    ext_modules=[Extension("_fastsum", ["_fastsum.c"])],
    entry_points={"console_scripts": ["fastsum = fastsum_cli:main"]},
)
