"""The tables of a benchmark in Markdown.

Comes in: the values of `benchmark.json`. Goes out: text of at most 100 columns.
"""

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

MOST_COLUMNS = 100
MODE_TITLES = {"train": "Train step", "inference": "Inference"}


def markdown_of(values: dict[str, Any]) -> str:
    """All tables of a benchmark."""
    parts = [["# Benchmark of the recurrence", "", *_preamble(values)]]
    parts += [_times(values, mode) for mode in MODE_TITLES]
    parts += [_first_calls(values), _what_systems_are(values)]
    parts += [_memory(values)] if any("memory" in row for row in values["systems"].values()) else []
    parts += [_streaming(values)] if values["streaming"] else []
    parts += [_sweep(swept) for swept in values["sweeps"]]
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def size_in_words(settings: dict[str, Any]) -> str:
    """The sizes of a benchmark on one line."""
    return (
        f"maps {settings['height']}x{settings['width']}x{settings['channels']}, "
        f"{settings['filters']} filters, kernel {settings['kernel_size']}, "
        f"{settings['steps']} steps, batch {settings['batch']}, {settings['dtype']}"
    )


def machine_in_words(environment: dict[str, Any]) -> str:
    """The hardware and the backend on one line."""
    versions = environment["versions"]
    backend = environment["backend"]
    devices = environment["accelerators"] or [
        f"{environment['processor']}, {environment['processor_count']} CPUs"
    ]
    return f"{', '.join(devices)}; Keras {versions['keras']} on {backend} {versions[backend]}"


def milliseconds(seconds: float) -> str:
    """Seconds as milliseconds, with three digits that count.

    Example:

    >>> milliseconds(0.0123456), milliseconds(1.23456)
    ('12.3', '1235')
    """
    value = 1000 * seconds
    digits = 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f}"


def _preamble(values: dict[str, Any]) -> list[str]:
    settings, product = values["settings"], values["matrix_product"]
    rows, inner, columns = product["shape"]
    compiled = "with XLA" if values["jit"] else "no XLA"
    sentences = [
        f"{size_in_words(settings)}.",
        f"{machine_in_words(values['environment'])}, {compiled}.",
        f"Medians of {settings['repeats']} rounds; a round runs every system once, in turn. "
        "Operations are those that cannot be done without (taps inside the map; two passes "
        "for kernels on features, three for kernels on states in a train step).",
        f"The machine's own matrix product, {rows}x{inner} by {inner}x{columns}: "
        f"{product['operations_per_second'] / 1e9:.1f} Gop/s.",
    ]
    if values["warning"]:
        sentences.append(f"**{values['warning']}**")
    sentences += [f"Left out: {name}. {why}" for name, why in values["left_out"].items()]
    lines: list[str] = []
    for sentence in sentences:
        lines += [*textwrap.wrap(sentence, MOST_COLUMNS), ""]
    return lines[:-1]


def _times(values: dict[str, Any], mode: str) -> list[str]:
    first = next(iter(values["systems"]))
    of_first = values["systems"][first][mode]["median_seconds"]
    head = ["system", "ms", "min", "max", "spread", f"/ {first}", "Gop/s", "of matmul"]
    rows = []
    for name, system in values["systems"].items():
        row = system[mode]
        rows.append(
            [
                name,
                milliseconds(row["median_seconds"]),
                milliseconds(row["min_seconds"]),
                milliseconds(row["max_seconds"]),
                f"{row['spread']:.0%}",
                f"{row['median_seconds'] / of_first:.2f}",
                f"{row['operations_per_second'] / 1e9:.1f}",
                f"{row['share_of_matrix_product']:.0%}",
            ]
        )
    return [f"## {MODE_TITLES[mode]}", "", *_table(head, rows)]


def _first_calls(values: dict[str, Any]) -> list[str]:
    rows = [
        [name, *(f"{system[mode]['first_call_seconds']:.2f}" for mode in MODE_TITLES)]
        for name, system in values["systems"].items()
    ]
    head = ["system", "train step", "inference"]
    note = "Not among the times above: the first call also traces and compiles."
    return ["## First call, s", "", *_table(head, rows), "", note]


def _what_systems_are(values: dict[str, Any]) -> list[str]:
    rows = []
    for name, system in values["systems"].items():
        agreement = system["agreement"]
        rows.append(
            [
                name,
                system["description"],
                "" if agreement is None else f"{agreement['outputs']:.0e}",
                _number(None if agreement is None else agreement["gradients"]),
            ]
        )
    head = ["system", "what it is", "outputs", "gradients"]
    note = "The last two: largest difference from keras.layers.RNN with the same weights."
    return ["## Systems", "", *_table(head, rows, left=2), "", note]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.0e}"


def _memory(values: dict[str, Any]) -> list[str]:
    rows, sentences = [], []
    for name, system in values["systems"].items():
        memory = system["memory"]
        if "left_out" in memory:
            sentences += ["", *textwrap.wrap(f"{name}: {memory['left_out']}", MOST_COLUMNS)]
            continue
        keys = ("train_mib", "inference_mib", "weights_mib", "features_mib", "built_mib")
        rows.append([name, *(f"{memory[key]:.0f}" for key in keys)])
    head = ["system", "train", "inference", "weights", "features", "process before"]
    note = "Peak above what the process held once built, each system in a process of its own."
    return ["## Peak memory, MiB", "", *_table(head, rows), "", note, *sentences]


def _streaming(values: dict[str, Any]) -> list[str]:
    rows = [
        [
            name,
            milliseconds(row["stream_frame"]["median_seconds"]),
            milliseconds(row["clip_frame"]["median_seconds"]),
            f"{row['ratio']:.2f}",
        ]
        for name, row in values["streaming"].items()
    ]
    head = ["what", "one frame, ms", "share of a clip, ms", "ratio"]
    return ["## Streaming, batch 1", "", *_table(head, rows)]


def _sweep(swept: dict[str, Any]) -> list[str]:
    along = swept["along"]
    other = "steps" if along == "batch" else "batch"
    head = ["system", *(f"{along} {size}" for size in swept["sizes"]), "exponent"]
    rows = []
    for name, row in swept["systems"].items():
        exponent = row["exponent"]
        rows.append(
            [
                name,
                *(milliseconds(seconds) for seconds in row["frame_seconds"]),
                "" if exponent is None else f"{exponent:.2f}",
            ]
        )
    title = f"## Train step per frame, ms, {other} {swept[other]}"
    note = "Exponent p of seconds of the whole step ~ size^p: 1 is growth in proportion."
    return [title, "", *_table(head, rows), "", note]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> list[str]:
    """A table whose first `left` columns stand left, the others right."""
    rows = list(rows)
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = [
        "-" * width if column < left else "-" * (width - 1) + ":"
        for column, width in enumerate(widths)
    ]
    return [line(head), line(rule), *(line(row) for row in rows)]
