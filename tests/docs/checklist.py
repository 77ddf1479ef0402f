"""What is demanded of a client of OAuth 2.0 that keeps other people's grants, line by line.

Tests say which line they are of: `test_checklist_7_…`, or `test_checklist_18_23_…`. A line without
a test says why there is none.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One line: what is demanded, where that is written, and what is done otherwise."""

    text: str
    source: str
    besides: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotApplicable(Demand):
    """A line about something that is not here; `besides` says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Open(Demand):
    """A line that is not met, or by no test; `besides` says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """Lines about the same thing; the first one has the number `begins`."""

    title: str
    begins: int
    demands: tuple[Demand, ...]


_LOGIN = Chapter(
    title="A login and its callback",
    begins=1,
    demands=(
        Demand(
            text="Each login has a random state, good for ten minutes, that only the browser in "
            "which it began can finish.",
            source="RFC 9700 §2.1",
            besides="This holds for logins by a link. One that the API key began may be finished "
            "in any browser, so that an operator can pass the URL on. A static `OAUTH_STATE` "
            "gives all of this up, and is unset by default.",
        ),
        Demand(
            text="A callback with no state, a wrong one or a used one gets 400; the provider is "
            "not asked, and what is stored stays.",
            source="RFC 6749 §10.12",
        ),
        Demand(
            text="The first callback uses up its state, whether it brings a code or an error.",
            source="RFC 9700 §4.2.4",
        ),
        Demand(
            text="Each login has a new PKCE verifier, sent as its S256 challenge first.",
            source="RFC 7636 §4, RFC 9700 §2.1.1",
            besides="Unless the provider is not known to have PKCE, as Digi-Key.",
        ),
        Demand(
            text="The state is checked where there is PKCE, too.",
            source="RFC 9700 §4.7.1",
        ),
        Demand(
            text="The redirect URI is a setting, the same in both requests, and no header of a "
            "request moves it.",
            source="RFC 6749 §4.1.3, RFC 9700 §4.13",
        ),
        Demand(
            text="An `iss` in the callback is compared with the issuer; where the issuer promises "
            "one, there has to be one.",
            source="RFC 9207 §2.4",
        ),
        NotApplicable(
            text="Several providers have a callback each.",
            source="RFC 9700 §4.4.2",
            besides="a deployment has one provider.",
        ),
        Demand(
            text="A callback with an `error` makes no token request, and what it says is escaped.",
            source="RFC 6749 §4.1.2.1",
        ),
        Demand(
            text="A parameter given twice, a code beside an error, or neither of them: 400.",
            source="RFC 6749 §3.1",
        ),
        Demand(
            text="A code is sent at once and one time only; the redirect that brings it again is "
            "told the same, and a prefetch uses up nothing.",
            source="RFC 6749 §4.1.2",
            besides="Another browser than that of a link's login is told only that it is over.",
        ),
        Demand(
            text="The page after a login has no token and nothing of third parties, and tells "
            "nobody by `Referer` where it is.",
            source="RFC 9700 §4.2, §4.3",
            besides="The page is not redirected from the callback's URL: what is left in the "
            "browser's history is a code and a state that are used up.",
        ),
        Demand(
            text="Nobody begins a login whom the operator has not let.",
            source="RFC 6749 §10.12",
        ),
        Demand(
            text="No parameter sends a browser elsewhere.",
            source="RFC 9700 §4.11.1",
        ),
        Demand(
            text="A login that brought no refresh token says so at once.",
            source="RFC 6749 §5.1",
        ),
        Demand(
            text="A scope that is narrower than what was asked for is kept, and told.",
            source="RFC 6749 §3.3",
        ),
    ),
)
_TOKEN_REQUEST = Chapter(
    title="A token request",
    begins=17,
    demands=(
        Demand(
            text="It goes to https with a certificate that is checked; to http on loopback only.",
            source="RFC 6749 §3.2",
        ),
        Demand(
            text="It is a form in a POST, and its URL has nothing of it.",
            source="RFC 6749 §2.3.1, §3.2",
        ),
        Demand(
            text="With HTTP Basic, id and secret are form-urlencoded before they are joined.",
            source="RFC 6749 §2.3.1",
            besides="For providers that want them raw there is no setting: `client_secret_post` "
            "is the way there.",
        ),
        Demand(
            text="The client authenticates in one way at a time.",
            source="RFC 6749 §2.3",
        ),
        Demand(
            text="A redirect is not followed: the secret would go along.",
            source="hardening",
        ),
        Demand(
            text="A refresh names no scope.",
            source="RFC 6749 §6",
        ),
        Demand(
            text="JSON is asked for.",
            source="hardening: some providers answer forms otherwise",
        ),
    ),
)
_TOKEN_RESPONSE = Chapter(
    title="A token response",
    begins=24,
    demands=(
        Demand(
            text="A 200 without an access token that is a text is no success.",
            source="RFC 6749 §5.1",
        ),
        Demand(
            text="A 200 that says it is an error is one.",
            source="hardening: GitHub, Slack",
        ),
        Demand(
            text="A form is understood by its content type.",
            source="hardening: GitHub",
        ),
        Demand(
            text="A page, nothing, half an answer, an array, or more than 64 KiB prove nothing, "
            "and cost no token that is stored.",
            source="hardening",
        ),
        Demand(
            text="Members that nobody knows do not matter.",
            source="RFC 6749 §5.1",
        ),
        Demand(
            text="The token's type is compared without regard to case; without one it is Bearer; "
            "one that wants proofs is refused.",
            source="RFC 6749 §7.1",
            besides="A type that nobody knows is passed on to the caller by its name.",
        ),
        Demand(
            text="A lifetime may be a number in a text; what is no lifetime is none, and a huge "
            "one is cut.",
            source="RFC 6749 §5.1, hardening",
        ),
        Demand(
            text="Where no lifetime is told it is the one that the provider is known for; for "
            "ever only where that is said.",
            source="RFC 6749 §5.1",
        ),
        NotApplicable(
            text="An instant of expiry is read in the provider's own units.",
            source="no RFC",
            besides="no provider that can be set up here answers with one in the place of "
            "`expires_in`.",
        ),
        Demand(
            text="A lifetime counts from before the request was sent.",
            source="RFC 6749 §5.1, hardening",
        ),
        Demand(
            text="Without a new refresh token the old one stays.",
            source="RFC 6749 §6",
        ),
        Demand(
            text="A new refresh token is stored with its access token, or not at all.",
            source="RFC 6749 §6",
        ),
        Demand(
            text="When the refresh token ends is kept, and told days ahead.",
            source="hardening",
            besides="`verify` tells the days that are left; to watch them is the monitoring's.",
        ),
        Demand(
            text="Tokens are texts without a meaning, of 8 KiB and more; what would end a line "
            "where a caller puts it is none.",
            source="RFC 6749 §1.4, §A.12",
        ),
    ),
)
_ERRORS = Chapter(
    title="Errors of the provider",
    begins=38,
    demands=(
        Demand(
            text="`invalid_grant` asks for a login, and is not asked for again; an access token "
            "that lives is still served.",
            source="RFC 6749 §5.2",
        ),
        Demand(
            text="`invalid_client` and `unauthorized_client` are faults of the settings, and cost "
            "no token.",
            source="RFC 6749 §5.2",
        ),
        Demand(
            text="So are `invalid_scope`, `invalid_request` and `unsupported_grant_type`.",
            source="RFC 6749 §5.2",
        ),
        Demand(
            text="Who cannot answer now is asked again after a while, longer each time; its "
            "`Retry-After` counts, in seconds or as a date, up to an hour.",
            source="RFC 9110 §10.2.3",
        ),
        Demand(
            text="A 400 or 401 that names no error proves nothing.",
            source="RFC 6749 §5.2, hardening",
        ),
        Demand(
            text="Errors in a vendor's own form are translated by a table.",
            source="no RFC",
        ),
        Demand(
            text="What a provider says of an error is escaped where it is shown, and repeats no "
            "secret.",
            source="RFC 6749 §5.2, hardening",
        ),
    ),
)
_REFRESH = Chapter(
    title="A refresh",
    begins=45,
    demands=(
        Demand(
            text="Fifty callers at the same time cost one token request, across processes.",
            source="hardening",
        ),
        Demand(
            text="What is stored is read again under the lock, and no late write replaces what "
            "is newer.",
            source="hardening",
        ),
        Demand(
            text="The intent is stored before the request, and the tokens before they are served.",
            source="hardening",
        ),
        Demand(
            text="The margin before an expiry is less than half a life: short lives make no loop.",
            source="hardening",
        ),
        Demand(
            text="A clock that goes back does no harm.",
            source="hardening",
        ),
    ),
)
_OWN_ENDPOINTS = Chapter(
    title="The endpoints here",
    begins=50,
    demands=(
        Demand(
            text="A key counts in a header only, and is compared in constant time.",
            source="RFC 6750 §2.1, RFC 9700 §4.3.2",
        ),
        Demand(
            text="Without a key the challenge names no error; with a wrong one `invalid_token`.",
            source="RFC 6750 §3, RFC 9110 §11.6.1",
        ),
        Demand(
            text="No answer may be kept.",
            source="RFC 6749 §5.1",
        ),
        Demand(
            text="Errors are problem documents with stable types and no secrets.",
            source="RFC 9457 §3",
        ),
        Demand(
            text="What passes is 503 with `Retry-After`, what the provider refuses 502, and a "
            "login that is needed has a type of its own.",
            source="RFC 9110 §15.6",
        ),
        Demand(
            text="A token is told with its type and what is left of its life; a refresh token "
            "never.",
            source="hardening",
        ),
        Demand(
            text="A method that is not allowed is told which are.",
            source="RFC 9110 §15.5.6",
        ),
    ),
)
_BEYOND = Chapter(
    title="Beyond RFC 6749",
    begins=57,
    demands=(
        Demand(
            text="Metadata counts only if it names the very issuer that was asked.",
            source="RFC 8414 §3.3",
        ),
        Demand(
            text="To disconnect revokes the refresh token; one that is not known is no error, and "
            "what is stored goes in any case.",
            source="RFC 7009 §2.2",
        ),
        NotApplicable(
            text="Where no expiry is told, introspection tells it.",
            source="RFC 7662 §2.2",
            besides="nothing asks for it; a token without an expiry is served as it is.",
        ),
        NotApplicable(
            text="The device grant slows down when it is told to; pushed requests, DPoP and token "
            "exchange follow their RFCs.",
            source="RFC 8628 §3.5, RFC 9126 §4, RFC 9449 §8, RFC 8693",
            besides="none of these is spoken here.",
        ),
    ),
)
_HARDENING = Chapter(
    title="What strangers are shown, and what they may try",
    begins=61,
    demands=(
        Demand(
            text="Nobody can try out a weak client secret, offline, on a state or a link.",
            source="RFC 6749 §10.10, hardening",
            besides="They are signed with a key of `ENCRYPTION_KEYS`; without one with a key that "
            "scrypt makes of the client secret (N = 2^14, r = 8, p = 5: a quarter of a second a "
            "guess).",
        ),
        Demand(
            text="A static state is none that can be guessed, and what comes with it is limited "
            "before the provider is asked.",
            source="RFC 6749 §10.12, §10.10",
        ),
        Demand(
            text="What nobody reads in a callback does not matter; an error that comes with no "
            "state that counts is quoted, as anybody's word, and uses up nothing.",
            source="RFC 6749 §4.1.2, §4.1.2.1",
        ),
    ),
)

CHAPTERS = (
    _LOGIN,
    _TOKEN_REQUEST,
    _TOKEN_RESPONSE,
    _ERRORS,
    _REFRESH,
    _OWN_ENDPOINTS,
    _BEYOND,
    _HARDENING,
)
DEMANDS = {
    number: demand
    for chapter in CHAPTERS
    for number, demand in enumerate(chapter.demands, start=chapter.begins)
}
