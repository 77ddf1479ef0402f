"""The same targets with atheris, which lets coverage guide what hypothesis draws from.

python -m tests.fuzz.guided TARGET [OPTION OF LIBFUZZER]…

It ends at the first failure, and prints the bytes that caused it.
"""

import importlib
import sys

_HOW_TO_GET_IT = """\
atheris is not installed. It supports some platforms and versions of Python only, so the locked
dependencies do not include it: .venv/bin/python -m pip install atheris
"""
# Our modules, and the parsers that they use.
_COVERED = ["adapters", "functions", "json", "urllib", "email"]


def main() -> int:
    """Fuzz one target until libFuzzer stops or an input fails."""
    try:
        atheris = importlib.import_module("atheris")
    except ModuleNotFoundError:
        sys.stdout.write(_HOW_TO_GET_IT)
        return 1
    with atheris.instrument_imports(include=_COVERED):
        targets = importlib.import_module("tests.fuzz.targets").TARGETS
    as_test = importlib.import_module("tests.fuzz.runs").as_test
    name, *options = sys.argv[1:]
    test = as_test(targets[name])
    atheris.Setup([sys.argv[0], *options], test.hypothesis.fuzz_one_input)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
