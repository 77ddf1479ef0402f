"""The file that keeps a simulated provider's state between two runs.

Use a file in one process at a time: the last write wins.
"""

import os
import tempfile
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from infra.local.simulated.state import State


class StateFileError(Exception):
    """The file is not a valid state."""


def load_state(path: Path) -> State:
    """Return the saved state, or an empty one without a file.

    Raises StateFileError, OSError.
    """
    try:
        saved = path.read_bytes()
    except FileNotFoundError:
        return State()
    try:
        return TypeAdapter(State).validate_json(saved)
    except ValidationError as error:
        raise StateFileError(
            f"{path} is not the state of a simulated provider; delete it to start again"
        ) from error


def save_state(path: Path, state: State) -> None:
    """Replace the file atomically, readable by its owner only. Create its folder if necessary.

    Raises OSError. Then the old file is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp uses mode 0600. The same folder makes the replacement atomic.
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
