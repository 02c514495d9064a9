"""Data sets as they lie on a disk become clip lists; `cham prepare` calls this.

One file a kind of data set, each with one function `prepare_<kind>` that takes
where the data set lies and returns a `Prepared`:

    hmdb51.py          HMDB51 with its official splits
    ucf101.py          UCF101 with its official splits
    olympic_sports.py  Olympic Sports with its official split
    ucf_sports.py      UCF Sports with boxes; ucf_sports_protocols.py divides it
    tfds.py            a data set of TensorFlow Datasets
    csv_file.py        a table with the columns path and label
    class_folders.py   <root>/<class>/<clip> or <root>/<split>/<class>/<clip>
    official_lists.py  what the first three share; class_files.py, archives.py find the files
    prepared.py        what all of them return, and how it is written
    duplicates.py      no identical file on both sides of a split

A further data set is one more file here and one more in `cli/prepare/`.
"""

from cham_keras.data.prepare.class_folders import prepare_folder
from cham_keras.data.prepare.csv_file import prepare_csv
from cham_keras.data.prepare.duplicates import check_duplicates
from cham_keras.data.prepare.hmdb51 import prepare_hmdb51
from cham_keras.data.prepare.olympic_sports import prepare_olympic_sports
from cham_keras.data.prepare.prepared import (
    Box,
    Prepared,
    read_boxes,
    write_boxes,
    write_prepared,
)
from cham_keras.data.prepare.tfds import prepare_tfds
from cham_keras.data.prepare.ucf101 import prepare_ucf101
from cham_keras.data.prepare.ucf_sports import prepare_ucf_sports

__all__ = [
    "Box",
    "Prepared",
    "check_duplicates",
    "prepare_csv",
    "prepare_folder",
    "prepare_hmdb51",
    "prepare_olympic_sports",
    "prepare_tfds",
    "prepare_ucf101",
    "prepare_ucf_sports",
    "read_boxes",
    "write_boxes",
    "write_prepared",
]
