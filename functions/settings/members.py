"""`RESPONSE_MEMBERS` and `CALLBACK_MEMBERS`: the members to keep next to the tokens."""

import re

from domain.extra import is_secret
from functions.settings.environment import EnvReader

# Of responses, and of callbacks: more than any provider has, and few enough for one record.
MAX_MEMBERS = 16
# Also `authed_user.id`, and names with brackets or colons.
_NAME = re.compile(r"[A-Za-z0-9._\-:\[\]/]{1,100}")


def read_members(
    env: EnvReader, variable: str, text: str, preset: tuple[str, ...]
) -> tuple[str, ...]:
    """Read names that are separated by commas or spaces, and add them to the preset's."""
    names = text.replace(",", " ").split()
    if not names or not all(map(_NAME.fullmatch, names)):
        env.faults.append(
            f"{variable} must be names such as instance_url, separated by commas or spaces"
        )
        return preset
    if any(map(is_secret, names)):
        # A name may be a misplaced secret, and is not quoted.
        env.faults.append(
            f"{variable} must not name a token, code, state or secret: extra never contains one"
        )
    found = tuple(dict.fromkeys([*preset, *names]))
    if len(found) > MAX_MEMBERS:
        env.faults.append(
            f"{variable} must name at most {MAX_MEMBERS} members, including the preset's"
        )
    return found
