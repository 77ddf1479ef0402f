"""`ENDPOINT_VALUES`: the values of placeholders in endpoints. Imported where there are any."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from domain.endpoint_templates import (
    TemplateError,
    fill_endpoint,
    fill_text,
    placeholders_in,
)
from domain.metadata import ServerMetadata, is_safe_url
from domain.provider import Provider
from functions.settings.environment import EnvReader
from functions.settings.parameters import Params, read_params

if TYPE_CHECKING:
    # Most providers with placeholders differ in nothing else.
    from domain.wire_format import WireFormat

_VARIABLE = "ENDPOINT_VALUES"
_EXAMPLE = "tenant=contoso&region=eu"
# Its value is CLIENT_ID.
_CLIENT_ID = "client_id"
_URLS = {
    "issuer": "ISSUER",
    "authorization_endpoint": "AUTHORIZATION_ENDPOINT",
    "token_endpoint": "TOKEN_ENDPOINT",
    "revocation_endpoint": "REVOCATION_ENDPOINT",
}
_REFRESH_ENDPOINT = "REFRESH_ENDPOINT"


def fill_metadata(env: EnvReader, metadata: ServerMetadata) -> ServerMetadata:
    """Fill the endpoints of variables, which may have placeholders of any name."""
    filling = _Filling(env=env, values=_values(env))
    filled: dict[str, Any] = {
        name: filling.url(variable, getattr(metadata, name)) for name, variable in _URLS.items()
    }
    return metadata._replace(**filled)


def fill_provider(env: EnvReader, preset: Provider, provider: Provider) -> Provider:
    """Fill the rest of a provider: the preset's endpoints and parameters, and `REFRESH_ENDPOINT`.

    A name that no endpoint has is a fault.
    """
    filling = _Filling(env=env, values=_values(env), allowed=preset.placeholders)
    _check_names(env, filling.values, provider)
    filled: dict[str, Any] = {
        name: filling.url("PROVIDER", getattr(provider, name)) for name in _URLS
    }
    # Empty until the metadata is read.
    for name in ("authorization_endpoint", "token_endpoint"):
        filled[name] = filled[name] or ""
    wire = provider.wire
    return replace(
        provider,
        **filled,
        wire=None if wire is None else _fill_wire(env, filling, wire),
        authorization_params=filling.params(provider.authorization_params),
        token_params=filling.params(provider.token_params),
    )


def _fill_wire(env: EnvReader, filling: "_Filling", wire: "WireFormat") -> "WireFormat":
    origin = _REFRESH_ENDPOINT if env.optional(_REFRESH_ENDPOINT) else "PROVIDER"
    return replace(
        wire,
        refresh_endpoint=filling.url(origin, wire.refresh_endpoint),
        code_params=filling.params(wire.code_params),
        refresh_params=filling.params(wire.refresh_params),
    )


def _values(env: EnvReader) -> dict[str, str]:
    found = read_params(env, _VARIABLE, _EXAMPLE) or ()
    values = dict(found)
    if len(values) < len(found):
        env.add_fault(f"{_VARIABLE} repeats a name")
    if not all(values.values()):
        env.add_fault(f"{_VARIABLE} has a name without a value")
    if _CLIENT_ID in values:
        env.add_fault(f"{_VARIABLE} must not set {_CLIENT_ID}, which is the client's own id")
    client_id = env.optional("CLIENT_ID")
    return values if client_id is None else {**values, _CLIENT_ID: client_id}


def _check_names(env: EnvReader, values: Mapping[str, str], provider: Provider) -> None:
    """Report names that are in no endpoint, those of variables included."""
    variables = [env.optional(name) for name in (*_URLS.values(), _REFRESH_ENDPOINT)]
    refresh = None if provider.wire is None else provider.wire.refresh_endpoint
    texts = (*variables, refresh, *(getattr(provider, name) for name in _URLS))
    names = {name for text in texts if text for name in placeholders_in(text)}
    names |= {*provider.placeholders}
    if values.keys() - names - {_CLIENT_ID}:
        known = ", ".join(sorted(names - {_CLIENT_ID})) or "none"
        env.add_fault(f"{_VARIABLE} has a name that is in no endpoint; allowed: {known}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Filling:
    """The values of placeholders, and the lists of those that are allowed."""

    env: EnvReader
    values: Mapping[str, str]
    allowed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def url(self, variable: str, template: str | None) -> str | None:
        """Fill one endpoint. The result of a fault has no placeholders, and is not used."""
        names = placeholders_in(template or "")
        if template is None or not names:
            return template
        try:
            url = fill_endpoint(template, self.values, self.allowed)
        except TemplateError as error:
            return self._without_value(variable, template, error)
        if not is_safe_url(url):
            self.env.add_fault(
                f"{_VARIABLE} makes {variable} a URL that is neither https nor on loopback"
            )
        return url

    def params(self, params: Params) -> Params:
        """Fill the preset's placeholders in parameters. Other braces stay."""
        return tuple((name, self._text(text)) for name, text in params)

    def _text(self, text: str) -> str:
        names = [name for name in placeholders_in(text) if name in self.allowed]
        for name in names:
            known = self.allowed[name]
            if name not in self.values:
                self._add_missing("PROVIDER", f"{{{name}}}")
            elif known and self.values[name] not in known:
                self.env.add_fault(f"{_VARIABLE}: {{{name}}} must be one of: {', '.join(known)}")
        return fill_text(text, self.values, [name for name in names if name in self.values])

    def _add_missing(self, variable: str, placeholder: str) -> None:
        self.env.add_fault(
            f"{variable} has the placeholder {placeholder}: set it in {_VARIABLE}, as in {_EXAMPLE}"
        )

    def _without_value(self, variable: str, template: str, error: TemplateError) -> str | None:
        if not error.is_missing:
            is_id = str(error).startswith(f"{{{_CLIENT_ID}}}")
            self.env.add_fault(f"{'CLIENT_ID' if is_id else _VARIABLE}: {error}")
        elif variable == "PROVIDER" and self.env.optional("ISSUER"):
            # The issuer's metadata names its endpoints.
            return None
        else:
            self._add_missing(variable, str(error))
        names = placeholders_in(template)
        return fill_text(template, dict.fromkeys(names, "x"), names)
