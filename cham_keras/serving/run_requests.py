"""Requests run by TensorFlow's C library, as a program without Keras and this package.

    python run_requests.py VERSION REQUESTS.pickle ANSWERS.pickle [REPEATS]

REQUESTS.pickle holds a list of (signature, {input: array}); ANSWERS.pickle gets a dictionary:
`answers`, for each request {output: array} or (code, message) where it was refused;
`seconds`, for each the times of REPEATS further calls, or of as many as begin within five
seconds; `version` of TensorFlow. XLA is off, as
in a model server. Together with `c_library.py` and `served_model.py` beside it, this file may be
taken to an environment with another TensorFlow.
"""

import pickle
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    # TensorFlow itself would import Keras where it finds it. None makes the import fail.
    sys.modules.update({"keras": None, "tf_keras": None, "cham_keras": None})  # type: ignore[dict-item]
    sys.path.insert(0, str(Path(__file__).resolve().parent))

#: A large model on large batches would be called for many minutes.
_SECONDS_PER_REQUEST = 5.0


def main(folder: str, requests_file: str, answers_file: str, repeats: str = "0") -> None:
    """Answers the requests of a file; see above."""
    from served_model import ServedModel, StatusError  # type: ignore[import-not-found]

    # Written by the process that started this one.
    requests = pickle.loads(Path(requests_file).read_bytes())
    model = ServedModel(Path(folder))
    answers, seconds = [], []
    for signature, inputs in requests:
        times: list[float] = []
        try:
            answers.append(model.run(signature, inputs))
            while len(times) < int(repeats) and sum(times) < _SECONDS_PER_REQUEST:
                start = time.perf_counter()
                model.run(signature, inputs)
                times.append(time.perf_counter() - start)
        except StatusError as error:
            answers.append((error.code, error.message))
        seconds.append(times)
    found = {"answers": answers, "seconds": seconds, "version": model.tensorflow_version}
    Path(answers_file).write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
