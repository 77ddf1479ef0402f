"""The front page of a simulated provider: its data, its settings, and its grants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from domain.provider import Provider
from infra.local.simulated.lifetimes import Lifetimes
from infra.local.simulated.pages import page
from infra.local.simulated.paths import Paths
from infra.local.simulated.state import NEVER, Grant, State


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPage:
    """The content of the front page at the time `now`, in seconds since the epoch."""

    title: str
    prefix: str
    provider: Provider
    paths: Paths
    resource: str
    presets: Sequence[str]
    now: float
    lifetimes: Lifetimes
    state: State = field(repr=False)
    planned_faults: Sequence[str]
    known_faults: Sequence[str]
    statistics: Mapping[str, int]

    def html(self) -> str:
        """Return the page: a description, the settings, the grants and their remaining time."""
        prefix = escape(self.prefix)
        counts = ", ".join(f"{name} {count}" for name, count in self.statistics.items())
        return page(
            f"A simulated {self.title}",
            f"""<p>An OAuth 2.0 authorization server with the paths, fields, rotation and errors of
the preset <code>{escape(self.provider.name)}</code>, so that a login, a refresh and an expiry can
be watched without an account.</p>
{self._endpoints()}
<h2>Lifetimes</h2>
<form method="post" action="{prefix}/settings">
{_seconds_input("code", "An authorization code", self.lifetimes.code)}
{_seconds_input("access_token", "An access token", self.lifetimes.access_token)}
{_seconds_input("refresh_token", "A refresh token", self.lifetimes.refresh_token)}
{
                _seconds_input(
                    "client_credentials",
                    "A token of the client itself",
                    self.lifetimes.client_credentials,
                )
            }
<button class="main">Set for new codes and tokens</button>
</form>
<p>Existing tokens keep their lifetimes. Log in again to use the new ones. Tokens may have
<code>never</code>.</p>
<h2>Plan a fault</h2>
<form method="post" action="{prefix}/settings">
<label>The next token request meets <select name="fault">{
                _options(self.known_faults)
            }</select></label>
<button>Plan it</button>
</form>
<p>Planned: {escape(", ".join(self.planned_faults)) or "none"}.
Token requests so far: {escape(counts)}.</p>
<h2>Play another provider</h2>
<form method="post" action="{prefix}/settings">
<label>The preset <select name="preset">{
                _options(self.presets, self.provider.name)
            }</select></label>
<button>Play it</button>
</form>
<p>Its rotation, lifetimes, answers and errors apply at once. The deployment keeps its own preset:
for both, start with <code>make run PROVIDER=NAME</code>.</p>
<h2>Grants</h2>
{self._grants()}
<form method="post" action="{prefix}/settings">
<button name="revoke_grants" value="true">Revoke all, as a person does at the provider</button>
</form>
<p><a href="{prefix}/">Reload</a></p>""",
        )

    def _endpoints(self) -> str:
        refresh = self.paths.refresh if self.paths.refresh != self.paths.token else None
        rows = [
            *(
                (label, f"<code>{escape(self.prefix + path)}</code>")
                for label, path in (
                    ("Authorization endpoint", self.paths.authorization),
                    ("Token endpoint", self.paths.token),
                    ("Refresh endpoint", refresh),
                    ("Revocation endpoint", self.paths.revocation),
                    ("A protected resource", self.resource),
                    ("Control, for programs", "/_control"),
                )
                if path is not None
            ),
            ("Client authentication", escape(self.provider.client_authentication.value)),
            ("Rotation", escape(rotation_in_words(self.provider))),
        ]
        return f"<table>{''.join(f'<tr><th>{name}<td>{cell}' for name, cell in rows)}</table>"

    def _grants(self) -> str:
        rows = [
            f"<tr><td>{escape(name)}<td>{_ago(self.now - grant.given_at)}"
            f"<td>{self._access_token(grant)}<td>{self._refresh_token(grant)}"
            for name, grant in sorted(
                self.state.grants.items(), key=lambda item: item[1].given_at, reverse=True
            )
        ] + [
            f"<tr><td>revoked<td>{_ago(self.now - revoked.given_at)}"
            f"<td colspan=2>{_ago(self.now - revoked.revoked_at)}, as {escape(revoked.because)}"
            for revoked in self.state.revoked
        ]
        if not rows:
            return "<p>None: nobody has logged in yet.</p>"
        head = "<tr><th>Grant<th>Given<th>Access token<th>Refresh token"
        return f"<table>{head}{''.join(rows)}</table>"

    def _access_token(self, grant: Grant) -> str:
        left = [at - self.now for at in grant.access_tokens.values() if self.now < at]
        if not left:
            return "expired"
        others = f" (and {len(left) - 1} older)" if len(left) > 1 else ""
        return _life(max(left), self.lifetimes.access_token) + others

    def _refresh_token(self, grant: Grant) -> str:
        if not grant.refresh_token:
            return "none"
        left = grant.refresh_token_expires_at - self.now
        return _life(left, self.lifetimes.refresh_token) if left > 0 else "expired"


def rotation_in_words(provider: Provider) -> str:
    """Return what a refresh does to the old tokens, in the form of the variable `ROTATION`."""
    grace = provider.rotation.grace.total_seconds()
    return "".join(
        (
            provider.rotation.kind.value,
            _grace_in_words(grace, until_used=provider.rotation.until_used),
            ";ends-access-token" if provider.refresh_ends_access_token else "",
        )
    )


def _grace_in_words(seconds: float, *, until_used: bool) -> str:
    if not seconds:
        return ""
    return f";grace={'until-used:' if until_used else ''}{seconds:.0f}s"


def _options(names: Sequence[str], selected: str = "") -> str:
    return "".join(
        f"<option{' selected' if name == selected else ''}>{escape(name)}" for name in names
    )


def _seconds_input(name: str, label: str, lifetime: float | None) -> str:
    value = "never" if lifetime is None else f"{lifetime:.15g}"
    return (
        f"<label>{label}, seconds"
        f' <input name="{name}" value="{value}" inputmode="decimal" required></label>'
    )


def _life(left: float, lifetime: float | None) -> str:
    """Return the remaining time, with a bar that shrinks while the page is open."""
    if left > NEVER / 2:
        return "does not expire"
    return (
        f"{_in_words(left)} left"
        f'<span class="life" style="width:{min(1.0, left / (lifetime or left)):.1%};'
        f'animation-duration:{left:.1f}s"></span>'
    )


def _ago(seconds: float) -> str:
    return f"{_in_words(max(0.0, seconds))} ago"


def _in_words(seconds: float) -> str:
    """Return the two largest units, such as `29 min 58 s`."""
    minutes, second = divmod(seconds, 60)
    if not minutes:
        return f"{second:.1f} s"
    second = int(second)
    hours, minute = divmod(int(minutes), 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days} d {hour} h"
    return f"{hour} h {minute} min" if hour else f"{minute} min {second} s"
