"""The page of a search: one HTML file that needs nothing else and asks no network.

What is told comes as `content.Report`; `page.render` makes the text of the file of it.
"""
