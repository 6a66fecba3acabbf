import datetime

project = "Guide"
copyright = f"{datetime.date.today().year}, nobody"
html_last_updated_fmt = "%Y-%m-%d %H:%M"
extensions = ["sphinx.ext.autodoc"]
man_pages = [("index", "guide", "A guide", ["nobody"], 7)]
