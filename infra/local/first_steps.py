"""The first steps with `make run`: as text in the terminal, and as the page at `/`.

Neither has a secret: the commands read the API key from its file.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import urlsplit

from domain.metadata import is_loopback
from functions.http.messages import Response
from functions.http.pages import page_of
from functions.settings.client import ClientSettings
from functions.settings.settings import Settings
from infra.local.environment import API_KEY_FILE, LocalEnvironment
from infra.local.simulated.application import title_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: its title, and a command for a shell."""

    title: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownClient:
    """A client that can be used. `name` is None for the unnamed one."""

    name: str | None
    provider: str
    redirect_uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstSteps:
    """The first steps at one address.

    `simulation`: the path of the simulated provider, if it is simulated.
    `keeps_api_key`: whether the API key is in a file of `make run`.
    `is_local`: whether browsers use that address. Behind a proxy, strangers could see the page.
    """

    address: str
    clients: Sequence[ShownClient]
    place: str
    steps: Sequence[Step]
    simulation: str | None
    is_local: bool
    keeps_api_key: bool

    @classmethod
    def of(cls, local: LocalEnvironment, settings: Settings) -> "FirstSteps":
        """Return the steps for the environment that `make run` serves with."""
        address = local.address
        key = f"$(cat {API_KEY_FILE})" if local.keeps_api_key else "$API_KEY"

        clients = [*_shown_clients(settings, is_simulated=local.is_simulated)]
        name = clients[0].name if clients else None
        query = "" if name is None else f"?connection={name}"

        def curl(path: str, options: str = "") -> str:
            return f'curl -sS {options}-H "x-api-key: {key}" {address}{path}{query}'

        return cls(
            address=address,
            clients=clients,
            place="in the folder of make run" if local.keeps_api_key else "with your API_KEY",
            steps=(
                Step(
                    title="Log in: open the returned authorization_url in a browser.",
                    command=curl("/api/login", "-X POST "),
                ),
                Step(title="Get a token.", command=curl("/api/token")),
                Step(title="Check the state of the login.", command=curl("/api/verify")),
            ),
            simulation=local.simulation_prefix if local.is_simulated else None,
            keeps_api_key=local.keeps_api_key,
            is_local=is_loopback(urlsplit(settings.public_url or "").hostname or ""),
        )

    def text(self) -> str:
        """Return the greeting in the terminal."""
        simulation = f"  lifetimes and faults: {self.address}{self.simulation}/\n"
        steps = "\n\n".join(
            f"  {number}. {step.title}\n     {step.command}"
            for number, step in enumerate(self.steps, start=1)
        )
        return f"""
oauth-callback serves at {self.address}{"/ (the first steps, as a page)" if self.is_local else ""}
{"".join(map(_in_text, self.clients))}{simulation if self.simulation else ""}

Run these commands in another terminal, {self.place}:

{steps}
"""

    def page(self) -> Response:
        """Return the page."""
        steps = "".join(
            f"<li>{escape(step.title)}<pre><code>{escape(step.command)}</code></pre>"
            for step in self.steps
        )
        return page_of(
            "oauth-callback: first steps",
            f"<p>{escape(self._providers())} "
            f"Run these commands in a terminal, {escape(self.place)}:</p><ol>{steps}</ol>"
            f"<h2>Or in the browser</h2><p>{escape(self._sign_in())}</p>"
            '<p><a class="button main" href="/sign-in">Sign in</a></p>' + self._next(),
        )

    def _providers(self) -> str:
        match self.clients:
            case [ShownClient(name=None, provider=provider)]:
                return f"The provider is {provider}."
            case clients:
                named = (f"{client.name or 'unnamed'} ({client.provider})" for client in clients)
                return f"The clients are {', '.join(named)}."

    def _sign_in(self) -> str:
        key = f"the API key in {API_KEY_FILE}" if self.keeps_api_key else "your API_KEY"
        return f"The page of connections logs in, refreshes and revokes. Sign in with {key}."

    def _next(self) -> str:
        uris = [f"<code>{escape(client.redirect_uri)}</code>" for client in self.clients]
        uri = ", ".join(uris)
        if self.simulation is None:
            where = "at the provider" if len(uris) == 1 else "each at its provider"
            return f"<h2>Redirect URI</h2><p>Register {uri} {where}.</p>"
        return (
            "<h2>Try expiry and faults</h2>"
            f'<p><a href="{self.simulation}/">The simulated provider</a> has settings for '
            "lifetimes and faults, and can play any other.</p>"
            "<h2>Next: your own provider</h2>"
            f"<ol><li>Register an application at the provider, with the redirect URI {uri}."
            "<li>Write its <code>CLIENT_ID</code> and <code>CLIENT_SECRET</code> into the file "
            "<code>.env</code>. The default provider is Digi-Key. For another one, add its "
            "variables from “Your provider” in <code>README.md</code>."
            "<li>Stop the server with Ctrl-C, and start it again with <code>make run</code>.</ol>"
        )


def _in_text(client: ShownClient) -> str:
    if client.name is None:
        return f"  provider: {client.provider}\n  redirect URI: {client.redirect_uri}\n"
    return f"  client {client.name}: {client.provider}, redirect URI {client.redirect_uri}\n"


def _shown_clients(settings: Settings, *, is_simulated: bool) -> Iterator[ShownClient]:
    # The application logs the faults of the others.
    for client in settings.clients.usable():
        yield ShownClient(
            name=client.name,
            provider=f"a simulated {title_of(client.provider)}"
            if is_simulated
            else provider_name(client),
            redirect_uri=settings.redirect_uri(client) or "",
        )


def provider_name(client: ClientSettings) -> str:
    """Return the provider's issuer, or the host of its token endpoint and its preset."""
    provider = client.provider
    if (issuer := client.overrides.issuer or provider.issuer) is not None:
        return issuer
    return f"{urlsplit(provider.token_endpoint).hostname} (PROVIDER={provider.name})"
