"""From a data set on disk to the table of all methods, the paper's numbers beside ours.

settings.py, methods.py, method_settings.py   what a table is made of
data_sets.py                                  the paper's data sets and how they are divided
make_table.py, estimate.py                    the work, and what it will take
rows.py, tables.py, paper_tables.py           what comes out, and what the paper prints
"""

from cham_keras.reproduce.make_table import estimate_table, make_table
from cham_keras.reproduce.settings import TableSettings

__all__ = ["TableSettings", "estimate_table", "make_table"]
