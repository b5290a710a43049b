"""The page of a search: one HTML file that needs nothing else and asks no network.

The content is a `content.Report`; `page.render` makes the text of the file from it.
"""
