"""The content and size of a function's bundle: `python -m tests.system.vercel_bundle`."""

import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping

from tests.system.vercel_artifact import artifact

MEGABYTE = 1_000_000
# A refresh takes the provider's 30 s, and what the store did not take is brought to it for two
# minutes more.
MAX_DURATIONS = {
    "adopt": 300,
    "callback": 300,
    "connections": 30,
    "health": 30,
    "login": 30,
    "metrics": 30,
    "oauth_token": 300,
    "openapi": 30,
    "page": 300,
    "refresh": 300,
    "revoke": 300,
    "sweep": 300,
    "token": 300,
    "verify": 30,
}
"""The functions there are to be, and how many seconds a request of each may take."""

# The application, what it depends on, and the module that starts the runtime.
_BELONGS = re.compile(
    r"(adapters|domain|functions|ports)/.*\.pyc?|_vendor/.*|vc__handler__python\.py"
)
_NAME_OF_DIST = re.compile(r"_vendor/(?P<name>[^/]+)-(?P<version>[^/-]+)\.dist-info/")
# Put there by uv, and used by nobody; the platform's own bundles have it too.
_SEEDED = re.compile(r"_vendor/pip(-[^/]+\.dist-info)?/")
_LARGEST = 8


def strays(paths: Iterable[str]) -> list[str]:
    """Return what does not belong into a bundle."""
    return sorted(path for path in paths if not _BELONGS.fullmatch(path))


def distributions(paths: Iterable[str]) -> dict[str, str]:
    """Return the version of each installed distribution, by its normalized name."""
    found = filter(None, map(_NAME_OF_DIST.match, paths))
    return {match["name"].replace("_", "-").lower(): match["version"] for match in found}


def parts(sizes: Mapping[str, int]) -> Counter[str]:
    """Return how many bytes are in each package, without the seeded pip."""
    weights: Counter[str] = Counter()
    for path, size in sizes.items():
        if not _SEEDED.match(path):
            folders = path.removeprefix("_vendor/").split("/")
            weights[folders[0] if len(folders) > 1 else "single files"] += size
    return weights


def weighed(name: str, sizes: Mapping[str, int]) -> str:
    """Return a line with the size of a bundle and of its largest parts."""
    weights = parts(sizes)
    named = ", ".join(
        f"{part} {size / MEGABYTE:.1f}" for part, size in weights.most_common(_LARGEST)
    )
    whole = weights.total() / MEGABYTE
    pip = (sum(sizes.values()) - weights.total()) / MEGABYTE
    return f"{name}: {whole:.1f} MB, and a seeded pip of {pip:.1f}; the largest parts: {named}"


if __name__ == "__main__":
    for function in artifact().functions.values():
        sys.stdout.write(f"{weighed(function.name, function.files)}\n")
