"""`cham prepare`: a data set becomes a clip list, `clips.json`. One file a kind of data set.

Each file has one function, the command; `finish.py` has what all of them do at their end.
"""

from cyclopts import App

from cham_keras.cli.prepare.csv_file import csv_file
from cham_keras.cli.prepare.folder import folder
from cham_keras.cli.prepare.hmdb51 import hmdb51
from cham_keras.cli.prepare.olympic_sports import olympic_sports
from cham_keras.cli.prepare.tfds import tfds
from cham_keras.cli.prepare.ucf101 import ucf101
from cham_keras.cli.prepare.ucf_sports import ucf_sports

app = App(
    name="prepare",
    help="""Make a clip list of your videos: which clips there are, their classes and splits.

Example: `cham prepare folder my_videos --out my_clips`
""",
)
app.command(folder)
app.command(csv_file, name="csv")
app.command(hmdb51)
app.command(ucf101)
app.command(olympic_sports, name="olympic-sports")
app.command(ucf_sports, name="ucf-sports")
app.command(tfds)

__all__ = ["app"]
