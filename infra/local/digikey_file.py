"""The file in which a simulated Digi-Key keeps its state between two runs.

One process at a time may use a file: the last to write wins.
"""

import os
import tempfile
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from infra.local.digikey_state import State


class StateFileError(Exception):
    """The file is there and cannot be understood."""


def load_state(path: Path) -> State:
    """What was saved, or an empty state when there is no file.

    Raises StateFileError, and OSError when the file cannot be read.
    """
    try:
        saved = path.read_bytes()
    except FileNotFoundError:
        return State()
    try:
        return TypeAdapter(State).validate_json(saved)
    except ValidationError as error:
        raise StateFileError(
            f"{path} is not the state of a simulated Digi-Key; delete it to start afresh"
        ) from error


def save_state(path: Path, state: State) -> None:
    """Replace the file whole, readable by its owner only; its folder is made if there is none.

    Raises OSError, and then the old file is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp creates with mode 0600; the same folder, so that the replacement is atomic.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(TypeAdapter(State).dump_json(state, indent=1))
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
