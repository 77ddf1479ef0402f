"""The pages of a login: before it, the one of a login link; after it, the one of the callback."""

from dataclasses import dataclass
from html import escape
from urllib.parse import quote, urlsplit

from domain.grant import Grant, Moved, tokens_of
from domain.login_link import LoginLink
from domain.scopes import asked_scope, split_scope
from functions.http.look import Tone, facts, note
from functions.http.messages import Response
from functions.http.pages import LOGIN_TARGETS, Button, actions, page_of, text_of
from functions.login.login_texts import advice
from functions.login.results import CompletedLogin
from functions.settings.client import ClientSettings
from functions.settings.presets import title

# The preset of providers that the environment describes.
_CUSTOM = "custom"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where somebody logs in: the client and, if it is known, this deployment's address."""

    client: ClientSettings
    public_url: str | None

    @property
    def provider(self) -> str:
        """The provider's name for people."""
        return provider_title(self.client)

    def facts(self, connection: str, grant: Grant | None) -> list[tuple[str, str]]:
        """Return the purpose of a login, as markup. Without a grant the account is unknown."""
        tokens = None if grant is None else tokens_of(grant)
        account = None if tokens is None else tokens.account
        host = urlsplit(self.public_url or "").netloc
        named = [
            ("Provider", self.provider),
            ("Account", account),
            ("Connection", connection),
            ("For", host),
        ]
        return [(name, escape(value)) for name, value in named if value]


def provider_title(client: ClientSettings) -> str:
    """Return a provider's name for people: its preset's, or the host where a browser goes."""
    provider = client.provider
    return _host(client) if provider.name == _CUSTOM else title(provider.name)


def link_page(
    link: LoginLink, place: Place, *, grant: Grant | None, login_url: str, text: str
) -> Response:
    """Return the page of a login link, whose button starts the login. `text` is the link's text.

    `grant`: None if it cannot be read now.
    """
    known = facts([*place.facts(link.connection, grant), ("Access", _access(place.client))])
    host = escape(_host(place.client))
    until = f"{link.expires_at:%Y-%m-%d %H:%M} UTC"
    button = Button(text="Log in", url=login_url, fields={"link": text})
    return page_of(
        f"Log in at {place.provider}",
        f"{known}{actions(button)}<h2>What happens next</h2><ol>"
        f"<li>The button opens <strong>{host}</strong>. Enter your password only there.</li>"
        "<li>You log in and allow the access.</li>"
        "<li>You come back here, and a page shows the result. Your password stays at the "
        "provider.</li></ol>"
        f'<p class="quiet">This link works once, until {until}. Finish the login in this '
        "browser.</p>",
        form_targets=LOGIN_TARGETS,
    )


def completed_page(
    completed: CompletedLogin,
    place: Place,
    *,
    is_signed_in: bool,
    headers: tuple[tuple[str, str], ...],
) -> Response:
    """Return the page after a login: the account, where it is logged in, and the next step.

    `is_signed_in`: whether the browser came from the page of connections, and goes back there.
    """
    text = text_of(advice(completed, on_page=True))
    tone, word = _result(completed)
    # Another browser learns only that the login is over.
    named = completed.connection
    known = "" if named is None else facts(place.facts(named, completed.grant))
    back = "" if named is None or not is_signed_in else _back(named, place)
    return page_of("Logged in", f"{note(tone, word, text)}{known}{back}", headers=headers)


def _back(connection: str, place: Place) -> str:
    url = f"{place.public_url or ''}/connections/{quote(connection, safe='@:')}"
    return f'<p><a class="button" href="{escape(url)}">Back to the connection</a></p>'


def _result(completed: CompletedLogin) -> tuple[Tone, str]:
    if completed.connection is None or completed.is_new:
        tokens = tokens_of(completed.grant)
        ends = tokens is not None and tokens.expires_at is not None and not tokens.is_replaceable
        return (Tone.SOON, "It works for a short time") if ends else (Tone.GOOD, "It worked")
    is_elsewhere = isinstance(completed.grant, Moved)
    return (Tone.BAD, "Not stored") if is_elsewhere else (Tone.SOON, "The earlier login stays")


def _access(client: ClientSettings) -> str:
    asked = asked_scope(client.provider)
    if asked is None:
        return "all that the provider grants to this application"
    return ", ".join(f"<code>{escape(scope)}</code>" for scope in split_scope(asked))


def _host(client: ClientSettings) -> str:
    """Return the host where the browser goes to log in."""
    provider = client.provider
    url = provider.authorization_endpoint or client.overrides.issuer or provider.issuer or ""
    return urlsplit(url).netloc or "the provider"
