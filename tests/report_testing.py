"""For tests of the report: run folders with made-up results, and a page taken apart."""

import dataclasses
import json
from html.parser import HTMLParser
from pathlib import Path

from results_making import drawn_results
from shard_making import BACKBONE

from cham_keras.data import Manifest, write_manifest
from cham_keras.data.shards.manifest import StorageError
from cham_keras.runs import ModelSettings, Run, RunSettings, open_run
from cham_keras.settings import write_settings

#: Names that would break a page which did not escape them, or a plot that read formulas.
HOSTILE_CLASSES = (
    "</script><script>alert(1)</script>",
    "a \"b\" 'c' & <i>d</i>",
    "$x^$ ${{ y }}",
    "http://example.com/x.png",
)
#: As many as HMDB51 has, some of them long.
MANY_CLASSES = tuple(
    f"{name}_{number:02}"
    for number in range(17)
    for name in ("brush_hair", "ride_bike", "shoot_ball_with_a_name_that_does_not_end_soon")
)

HISTORY = """epoch,clip_accuracy,loss,val_clip_accuracy,val_loss
1,0.25,1.5,0.5,1.25
2,0.5,1.0,0.75,0.875
3,0.875,0.5,0.625,1.0
"""
METRICS = {
    "model": "cham",
    "parameters": 12345,
    "epochs": 3,
    "kept_epoch": 2,
    "seconds": 3725.0,
    "kept": {"val_clip_accuracy": 0.75},
}
VERSIONS = {
    "versions": {"python": "3.11.7", "keras": "3.15.1"},
    "processor": "An abacus",
    "processor_count": 4,
    "command": "cham train shards --out 'a & b' <x>",
    "seed": 7,
}


def made_up_run(folder: Path, classes, model="cham", clips=60, skill=1.0, **results) -> Run:
    """A run folder without a model: settings, history and drawn results of the split test."""
    folder.mkdir(parents=True)
    write_settings(
        folder / "settings.toml", RunSettings(seed=7, model=ModelSettings(name=model, filters=4))
    )
    manifest = Manifest(
        classes=classes,
        feature_dtype="float32",
        storage_error=StorageError(largest=0.0, relative_rms=0.0),
        backbone=BACKBONE,
        frame_stride=1,
        max_frames=None,
        splits={},
        clips_root=str(folder / "no videos"),
        unreadable=(),
        versions={},
        command="",
    )
    write_manifest(manifest, folder / "manifest.json")
    (folder / "history.csv").write_text(HISTORY)
    (folder / "metrics.json").write_text(json.dumps(METRICS))
    (folder / "versions.json").write_text(json.dumps(VERSIONS))
    drawn = drawn_results(clips=clips, classes=classes, skill=skill, **results)
    drawn.write(folder / "evaluation", pictures=False)
    return open_run(folder)


@dataclasses.dataclass
class Element:
    """An element of a page: what it is called, its attributes, and the text inside it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""


class PageParts(HTMLParser):
    """The elements of a page in their order; text counts for all elements that it is inside."""

    _EMPTY = ("meta", "link", "img", "source", "br")

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()

    def of(self, tag: str) -> list[Element]:
        """All elements of a kind."""
        return [element for element in self.elements if element.tag == tag]

    def texts(self, tag: str) -> list[str]:
        """What stands in all elements of a kind, blanks as one space."""
        return [" ".join(element.text.split()) for element in self.of(tag)]

    @property
    def clips(self) -> dict:
        """What the page's script lists the clips from."""
        [stored] = [element for element in self.of("script") if element.attributes]
        return json.loads(stored.text)

    def handle_starttag(self, tag, attributes):
        element = Element(tag, dict(attributes))
        self.elements.append(element)
        if tag not in self._EMPTY:
            self._open.append(element)

    def handle_endtag(self, tag):
        while self._open and self._open.pop().tag != tag:
            pass

    def handle_data(self, data):
        for element in self._open:
            element.text += data


def parts_of(path: Path) -> PageParts:
    """A written page, taken apart."""
    return PageParts(path.read_text(encoding="utf-8"))
