"""What a benchmark found, as JSON, Markdown and a picture."""

import dataclasses
from pathlib import Path
from typing import Any

from cham_keras.files import replacing_file, write_json

JSON_FILE = "benchmark.json"
MARKDOWN_FILE = "benchmark.md"
PICTURE_FILE = "benchmark.png"


@dataclasses.dataclass(frozen=True)
class BenchmarkResults:
    """Everything that was found, in the form of `benchmark.json`.

    Attributes:
        values: `settings`, `environment` (versions, hardware, load average), `warning`,
            `matrix_product`, `systems` (by name: times of `train` and `inference`, useful
            operations and rates, agreement, memory), `left_out`, `streaming`, `sweeps`.
    """

    values: dict[str, Any]

    def to_markdown(self) -> str:
        """The tables, up to 100 columns wide."""
        from cham_keras.benchmark.tables import markdown_of

        return markdown_of(self.values)

    def write(self, folder: Path) -> None:
        """Writes `benchmark.json`, `benchmark.md` and `benchmark.png`."""
        from cham_keras.benchmark.plots import plot_benchmark

        write_json(folder / JSON_FILE, self.values)
        with replacing_file(folder / MARKDOWN_FILE) as temporary:
            temporary.write_text(self.to_markdown())
        plot_benchmark(self.values, folder / PICTURE_FILE)
