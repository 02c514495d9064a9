"""The controlled proof: every method on generated clips that isolate one claim each.

    nice -n 19 python scripts/controlled_proof.py OUT
    python scripts/controlled_proof.py OUT --sets place --methods fc_attention --seeds 0 1
    python scripts/controlled_proof.py OUT --known docs/results/controlled_proof/results.json

OUT is a new folder, or one that an earlier call began: what is finished there is not done
again, so the same command goes on after a kill; what an earlier report holds (--known) counts as
finished, too. After each seed the tables of all that OUT
holds are renewed: results.json, results.md, results.png. Five seeds are 220 runs.
"""

import argparse
import dataclasses
import logging
from pathlib import Path

from cham_keras.cli.quiet_start import import_backend_quietly

import_backend_quietly()

from cham_keras.demo.controlled import (  # noqa: E402
    CONTROLLED_SETS,
    ProofSettings,
    run_proof,
    take_over,
    write_report,
)
from cham_keras.demo.controlled.experiment import TITLES  # noqa: E402
from cham_keras.runs.run_folder import environment  # noqa: E402


def main() -> None:
    """Parses, runs, writes the report."""
    # Each model is another one, so each is traced; TensorFlow would warn of every one.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    size = ProofSettings()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--sets", nargs="+", choices=CONTROLLED_SETS, default=list(CONTROLLED_SETS))
    parser.add_argument("--methods", nargs="+", choices=TITLES, default=list(TITLES))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    for field in dataclasses.fields(size):
        option, default = f"--{field.name.replace('_', '-')}", getattr(size, field.name)
        parser.add_argument(option, type=int, default=default, help=f"default {default}")
    parser.add_argument("--report", type=Path, help="folder for the tables; OUT if left out")
    parser.add_argument("--known", type=Path, help="results.json whose runs count as finished")
    arguments = parser.parse_args()
    proof = ProofSettings(
        **{field.name: getattr(arguments, field.name) for field in dataclasses.fields(size)}
    )
    if arguments.known is not None:
        take_over(arguments.out, proof, arguments.known)
    for seed in arguments.seeds:
        found = run_proof(
            arguments.out, proof, sets=arguments.sets, methods=arguments.methods, seeds=[seed]
        )
        facts = {"settings": dataclasses.asdict(proof), "environment": environment()}
        write_report(arguments.report or arguments.out, found, facts)
    print(((arguments.report or arguments.out) / "results.md").read_text())


if __name__ == "__main__":
    main()
