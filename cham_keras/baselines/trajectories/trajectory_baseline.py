"""The trajectory-based method: from a clip list to results.

Comes in: clips. Goes out: a folder with the results, the settings, how the method came to
be, and the descriptors of each clip. `cham trajectories` calls this.

Points are followed through each clip, their motion is taken relative to global and local
reference points, each channel of descriptors becomes a histogram of words, and a support
vector machine with a chi-square kernel tells the classes apart (Jiang et al., "Trajectory-
based modeling of human actions with motion reference points", ECCV 2012; where it is simpler
than there is written in `reference_points` and `tracking`).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cham_keras.baselines.method_folder import write_method
from cham_keras.baselines.trajectories.chi_square_svm import Histograms, fit_chi_square_svm
from cham_keras.baselines.trajectories.clip_descriptors import (
    descriptor_file,
    read_clip_descriptors,
    write_clip_descriptors,
)
from cham_keras.baselines.trajectories.codebook import fit_codebook, word_histogram
from cham_keras.baselines.trajectories.settings import TrajectorySettings
from cham_keras.data import Clip, ClipList, UnreadableClip
from cham_keras.evaluation import Results
from cham_keras.paths import local_path
from cham_keras.progress import track
from cham_keras.runs.run_folder import SETTINGS_FILE
from cham_keras.settings import read_settings, write_settings

#: The folder of the clips' descriptors in the output folder.
DESCRIPTORS_FOLDER = "descriptors"


def trajectory_baseline(
    clip_list: ClipList,
    out: Path | str,
    settings: TrajectorySettings = TrajectorySettings(),  # noqa: B008  frozen
    *,
    split: str = "test",
    add_validation: bool = False,
    skip_unreadable: bool = False,
    descriptors: Path | str | None = None,
    pictures: bool = True,
) -> Results:
    """Fits the trajectory-based method on clips and evaluates it.

    Whatever interrupts it, the same call goes on with the clips whose points have not been
    followed yet. Another call with the same `tracking` settings follows none again.

    Args:
        clip_list: the clips, with their classes, splits and groups.
        out: the folder to write: new, or of an earlier call.
        settings: how points are followed, words, folds, seed.
        split: what is evaluated.
        add_validation: also fit on the clips of the split `validation`.
        skip_unreadable: leave clips out that cannot be read or are too short; `method.json`
            lists them.
        descriptors: the folder of the clips' descriptors, `descriptors` in `out` by default.
            They depend on the clip and on `settings.tracking` only, so calls with other splits
            of the same clips may share it.
        pictures: whether to draw pictures of the results.

    Returns:
        the results, also written to `<out>/evaluation/<split>.*`.

    Raises:
        FileExistsError: `out` holds something else.
        ValueError: OpenCV is not installed, an argument breaks its rule, a clip cannot be
            read and `skip_unreadable` is false, there are fewer trajectories than words, or a
            class has too few groups for the folds.
    """
    fitted_on = ("train", "validation") if add_validation else ("train",)
    if split in fitted_on:
        raise ValueError(
            f"`split` must be one that is not fitted on ({', '.join(fitted_on)}). "
            f"Received: {split!r}."
        )
    training = [clip for name in fitted_on for clip in clip_list.clips_of_split(name)]
    tested = list(clip_list.clips_of_split(split))
    if not tested:
        raise ValueError(f"The split that is evaluated must have clips. Received: {split!r}.")
    out = local_path(out, "`out`")
    _check_out(out)
    folder = out / DESCRIPTORS_FOLDER if descriptors is None else Path(descriptors)
    folder.mkdir(parents=True, exist_ok=True)
    if not (out / SETTINGS_FILE).exists():  # `_check_out` knows the folder by it
        write_settings(out / SETTINGS_FILE, settings)
    unreadable = write_clip_descriptors(clip_list, [*training, *tested], folder, settings.tracking)
    if unreadable and not skip_unreadable:
        raise ValueError(_sentence(unreadable))
    lost = {clip.path for clip in unreadable}
    training = [clip for clip in training if clip.id not in lost]
    tested = [clip for clip in tested if clip.id not in lost]
    if not training or not tested:
        raise ValueError(f"Clips must be left to fit on and to test. {_sentence(unreadable)}")

    of_training, of_tested = _histograms(clip_list, training, tested, folder, settings)
    fitted = fit_chi_square_svm(
        of_training,
        np.array([clip_list.label_of(clip) for clip in training]),
        np.array([clip.group for clip in training]),
        clip_list.classes,
        settings.num_folds,
        settings.seed,
    )
    results = Results(
        classes=clip_list.classes,
        clip_ids=tuple(clip.id for clip in tested),
        labels=np.array([clip_list.label_of(clip) for clip in tested]),
        groups=np.array([clip.group for clip in tested]),
        probabilities=fitted.probabilities(of_tested),
        split=split,
        seed=settings.seed,
    )
    write_settings(out / SETTINGS_FILE, settings)
    method = {
        "method": "trajectories",
        "penalty": fitted.penalty,
        "sharpness": fitted.choice.sharpness,
        "held_out_accuracy": fitted.choice.accuracy,
        "held_out_log_loss": fitted.choice.log_loss,
        "mean_distances": fitted.mean_distances,
        "fitted_on": list(fitted_on),
        "clips_fitted_on": len(training),
        "seed": settings.seed,
        "unreadable": [{"path": clip.path, "reason": clip.reason} for clip in unreadable],
    }
    write_method(out, method, results, packages=("opencv-python-headless",), pictures=pictures)
    return results


def _histograms(
    clip_list: ClipList,
    training: Sequence[Clip],
    tested: Sequence[Clip],
    folder: Path,
    settings: TrajectorySettings,
) -> tuple[Histograms, Histograms]:
    """Histograms of words by channel, of the training clips and of the tested ones."""
    files = [
        descriptor_file(folder, clip_list, clip, settings.tracking) for clip in (*training, *tested)
    ]
    of_training: Histograms = {}
    of_tested: Histograms = {}
    # A channel at a time, so that memory holds one channel's descriptors.
    for channel in track(settings.tracking.channels, "codebooks, channels"):
        descriptors = [read_clip_descriptors(file)[channel] for file in files]
        codebook = fit_codebook(
            descriptors[: len(training)],
            settings.num_words,
            settings.codebook_descriptors,
            settings.seed,
        )
        rows = np.stack([word_histogram(codebook, each) for each in descriptors])
        of_training[channel], of_tested[channel] = rows[: len(training)], rows[len(training) :]
    return of_training, of_tested


def _sentence(unreadable: Sequence[UnreadableClip]) -> str:
    named = "; ".join(f"{clip.path}: {clip.reason}" for clip in unreadable)
    return (
        f"Every clip must be readable and longer than a trajectory. Received: {named} "
        "Mend or leave out these clips, or pass --skip-unreadable."
    )


def _check_out(out: Path) -> None:
    """Refuses a folder that holds something else than trajectories."""
    if not out.exists() or not any(out.iterdir()) or (out / DESCRIPTORS_FOLDER).is_dir():
        return
    if (out / SETTINGS_FILE).is_file() and _are_of_trajectories(out / SETTINGS_FILE):
        return
    raise FileExistsError(
        f"The output folder must be new, empty, or of trajectories. Received: {out}. "
        "Name another folder."
    )


def _are_of_trajectories(settings: Path) -> bool:
    try:
        read_settings(TrajectorySettings, settings)
    except ValueError:
        return False
    return True
