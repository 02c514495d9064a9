"""Data sets as they lie on a disk become clip lists; `cham prepare` calls this.

One file a kind of data set, each with one function `prepare_<kind>` that takes
where the data set lies and returns a `ClipList`:

    csv_file.py        a table with the columns path and label
    class_folders.py   <root>/<class>/<clip> or <root>/<split>/<class>/<clip>

A further data set is one more file here and one more command in `cli/prepare.py`.
"""

from cham_keras.data.prepare.class_folders import prepare_folder
from cham_keras.data.prepare.csv_file import prepare_csv

__all__ = ["prepare_csv", "prepare_folder"]
