"""One HTML page about a run, whole in itself: no network, no other file.

write_report.py                  the work, and what it is asked to do
facts.py, curves.py, confusion.py, class_table.py, errors.py, films.py,
attention_scores.py, latency.py  a section of the page each
pictures.py, wording.py          plots as data URIs; numbers in words
page.py, templates/              the sections as HTML
"""

from cham_keras.report.write_report import WrittenReport, write_report

__all__ = ["WrittenReport", "write_report"]
