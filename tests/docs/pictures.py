"""Write `docs/images`: pictures of the page, taken in a real browser.

python -m tests.docs.pictures

The deployment that they show has a clock that stands still. `pictures.json` keeps the text of each
page as it was, because fonts differ between machines and texts do not.
"""

import json
import sys
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from tests.browser.chromium import chromium, program
from tests.browser.showcase import ADDRESS, HOST, KEY, OPERATOR_KEY, showcase
from tests.browser.visits import Visit, visit
from tests.system.loopback import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser

IMAGES = Path(__file__).parents[2] / "docs/images"
TEXTS = Path(__file__).parent / "pictures.json"
LARGEST = 60_000
"""In bytes."""
SCALE = 2
"""Pixels of the file for one of the page, so that screens of today show it sharp."""
_QUALITY = 50
# Debian's own fonts are wider than those of most readers.
_FONT = "body{font-family:Inter,system-ui,sans-serif}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of a page: the way to it, and the size of the window."""

    way: Callable[[Visit], None]
    width: int = 680
    height: int
    scheme: Literal["light", "dark"] = "light"


def _to_list(visitor: Visit) -> None:
    visitor.open("/")
    visitor.sign_in(OPERATOR_KEY)


def _to_connection(visitor: Visit) -> None:
    visitor.open("/connections/digikey")
    visitor.sign_in(OPERATOR_KEY)


def _to_link(visitor: Visit) -> None:
    visitor.open("/connections/google:ada")
    visitor.sign_in(OPERATOR_KEY)
    visitor.press("Copy a login link")
    visitor.open(visitor.page.get_by_label("Link").input_value())


def _to_callback(visitor: Visit) -> None:
    visitor.open("/connections/digikey:shop")
    visitor.sign_in(KEY)
    visitor.press("Log in")
    visitor.press("Allow")


PICTURES: Mapping[str, Picture] = {
    "list": Picture(way=_to_list, height=740),
    "connection": Picture(way=_to_connection, height=900),
    "login": Picture(way=_to_link, height=560),
    "callback": Picture(way=_to_callback, height=400),
    "phone": Picture(way=_to_list, width=360, height=720, scheme="dark"),
}
"""The pictures by the names of their files."""


@contextmanager
def shown(browser: "Browser", picture: Picture, *, bypass_csp: bool = False) -> Iterator[Visit]:
    """Show the page of a picture. The browser has to find the showcase."""
    with visit(
        browser,
        ADDRESS,
        width=picture.width,
        scheme=picture.scheme,
        bypass_csp=bypass_csp,
    ) as visitor:
        picture.way(visitor)
        visitor.page.set_viewport_size({"width": picture.width, "height": picture.height})
        yield visitor


def file_of(name: str) -> Path:
    """Return the file of a picture."""
    return IMAGES / f"page-{name}.webp"


def size_of(file: Path) -> tuple[int, int]:
    """Return the width and the height of an extended WebP file in pixels (RFC 9649 §2.7)."""
    content = file.read_bytes()
    assert content[8:16] == b"WEBPVP8X", "not an extended WebP"
    width, height = (int.from_bytes(content[at : at + 3], "little") for at in (24, 27))
    return width + 1, height + 1


def texts() -> dict[str, list[str]]:
    """Return the lines of each page when its picture was taken."""
    found: dict[str, list[str]] = json.loads(TEXTS.read_text())
    return found


def lines_of(visitor: Visit) -> list[str]:
    """Return the lines of a page, without the empty ones."""
    return [line.strip() for line in visitor.text.splitlines() if line.strip()]


def _take(visitor: Visit) -> bytes:
    visitor.page.add_style_tag(content=_FONT)
    session = visitor.page.context.new_cdp_session(visitor.page)
    # Playwright's own pictures are PNG, which takes three times as much.
    clip = {"x": 0, "y": 0, "scale": SCALE, **(visitor.page.viewport_size or {})}
    options = {"format": "webp", "quality": _QUALITY, "clip": clip}
    return b64decode(session.send("Page.captureScreenshot", options)["data"])


def main() -> str | None:
    """Take the pictures. Return why that is not possible here."""
    if (path := program()) is None:
        return "There is no Chromium: make browser"
    IMAGES.mkdir(exist_ok=True)
    port, found = free_port(), dict[str, list[str]]()
    with (
        TemporaryDirectory() as folder,
        showcase(port, Path(folder)),
        chromium(path, hosts={HOST: port}) as browser,
    ):
        for name, picture in PICTURES.items():
            with shown(browser, picture, bypass_csp=True) as visitor:
                file_of(name).write_bytes(_take(visitor))
                found[name] = lines_of(visitor)
    TEXTS.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    return None


if __name__ == "__main__":
    sys.exit(main())
