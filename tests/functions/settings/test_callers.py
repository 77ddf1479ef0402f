"""CALLERS: what an entry can say, and its faults, which repeat no value."""

import json
from collections.abc import Mapping

import pytest

from domain.identity_token import Glob
from functions.settings.settings import Settings, SettingsError
from tests.client_keys import jwk_of
from tests.functions.access.test_api_keys import OTHERS, api_keys, entry

MARK = "ValueThatIsNotRepeated"
GOOD: Mapping[str, object] = {
    "name": "ci",
    "issuer": "https://issuer.example",
    "audience": "https://keeper.example",
    "claims": {"sub": "repo:acme/shop:ref:refs/heads/main"},
}
JWKS = {"keys": [jwk_of("p256", kid="1")]}


def settings(*entries: object, **environ: str) -> Settings:
    return Settings.from_environ({**OTHERS, "CALLERS": json.dumps(entries), **environ})


def faults(*entries: object, **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        settings(*entries, **environ)
    return refused.value.faults


def with_claims(**claims: object) -> list[object]:
    return [{**GOOD, "claims": claims}]


def test_callers_are_enough_without_a_key() -> None:
    found = settings(
        GOOD, {**GOOD, "name": "all", "jwks": None} | {"jwks": JWKS, "issuer": "https://b.example"}
    )
    assert found.api_keys == ()
    first, second = found.callers
    assert (first.name, first.keys, first.connections, first.endpoints) == ("ci", None, None, None)
    assert second.keys is not None
    assert len(second.keys) == 1


@pytest.mark.parametrize(
    "glob",
    [
        "repo:acme/*",
        "repo:acme@65/*",
        "acme/*",
        "owner:acme:*",
        "repo:acme/shop:ref:refs/heads/*",
        "system:serviceaccount:jobs:*",
        "project_path:acme/*:ref_type:branch:ref:main",
        "https://acme.example/*",
    ],
)
def test_checklist_66_glob_of_a_subject_names_its_owner(glob: str) -> None:
    (found,) = settings(*with_claims(sub={"glob": glob}, ref={"glob": "*"})).callers
    assert found.rule.claims == {"sub": Glob(glob), "ref": Glob("*")}


FAULTS: dict[str, tuple[list[object], str]] = {
    "no object": ([MARK], "entry 1: it must be an object"),
    "nothing": ([], "CALLERS must be a JSON array"),
    "a member that is misspelt": ([{**GOOD, "endpoint": [MARK]}], "entry 'ci': it has an unknown"),
    "a name with a space": ([{**GOOD, "name": f"{MARK} "}], "entry 1: name must be"),
    "no issuer": ([{**GOOD, "issuer": None}], "entry 'ci': issuer must be an https URL"),
    "an http issuer": ([{**GOOD, "issuer": f"http://{MARK}"}], "issuer must be an https URL"),
    "an issuer with a query": ([{**GOOD, "issuer": f"https://a?{MARK}"}], "issuer must be"),
    "no audience": ([{**GOOD, "audience": ""}], "audience must be a text"),
    "a list of audiences": ([{**GOOD, "audience": [MARK]}], "audience must be a text"),
    "no claims": ([{**GOOD, "claims": {}}], "claims must be an object of 1 to 20"),
    "a list of claims": ([{**GOOD, "claims": [MARK]}], "claims must be an object"),
    "neither sub nor repository": (with_claims(ref=MARK), "claims must have sub or repository"),
    "an audience in the claims": (with_claims(sub="a", aud=MARK), "claims must not have aud"),
    "an empty subject": (with_claims(sub=""), "claims: 'sub' must be a text or"),
    "a number for the subject": (with_claims(repository=1), "claims: 'repository' must be a text"),
    "null": (with_claims(sub="a", ref=None), "'ref' must be a text, a number, a boolean or"),
    "a list of values": (with_claims(sub="a", ref=[MARK]), "'ref' must be a text"),
    "a pattern that is not a glob": (with_claims(sub={"regex": MARK}), "'sub' must be a text"),
    "more than a glob": (with_claims(sub={"glob": "a/*", "x": MARK}), "'sub' must be a text"),
    "a name that may be a value": (with_claims(sub="a", **{f"{MARK} ": 1.5}), "a claim must be"),
    "a glob without a star": (with_claims(sub={"glob": MARK}), "the glob of 'sub' must be a text"),
    "too many stars": (with_claims(sub={"glob": "a/" + "*" * 6}), "with 1 to 5 `*`"),
    "a subject of anybody": (with_claims(sub={"glob": "*"}), "the whole name of the owner"),
    "any repository": (with_claims(sub={"glob": "repo:*"}), "the whole name of the owner"),
    "any owner": (with_claims(repository={"glob": "*/shop"}), "the whole name of the owner"),
    "part of an owner": (with_claims(sub={"glob": "repo:acme*"}), "the whole name of the owner"),
    "any id": (with_claims(sub={"glob": "repo:acme@*/shop"}), "the whole name of the owner"),
    "an empty owner": (with_claims(sub={"glob": "repo:/*"}), "the whole name of the owner"),
    "no connections": ([{**GOOD, "connections": []}], "entry 'ci': connections must be a list"),
    "an endpoint that is none": ([{**GOOD, "endpoints": [MARK]}], "endpoints must be a list"),
    "keys that are none": ([{**GOOD, "jwks": [MARK]}], "jwks is not usable: not a JSON object"),
    "no key for signatures": ([{**GOOD, "jwks": {"keys": [{"kty": MARK}]}}], "it has no key with"),
    "a name twice": ([GOOD, GOOD], "CALLERS has the name 'ci' more than once"),
    "other keys of one issuer": (
        [GOOD, {**GOOD, "name": "two", "jwks": JWKS}],
        "entries 'ci' and 'two': they have one issuer",
    ),
}


@pytest.mark.parametrize(("entries", "said"), FAULTS.values(), ids=FAULTS)
def test_fault_names_the_entry_and_repeats_no_value(entries: list[object], said: str) -> None:
    (fault,) = faults(*entries)
    assert fault.startswith("CALLERS")
    assert said in fault
    assert MARK not in fault


@pytest.mark.parametrize("text", ["{", "{}", "1", "null", "[" * 2000])
def test_value_that_is_not_a_list_is_a_fault(text: str) -> None:
    (fault,) = faults(CALLERS=text)
    assert fault.startswith("CALLERS must be a JSON array of entries")


def test_repeated_claim_is_a_fault() -> None:
    text = json.dumps([GOOD]).replace('"sub"', '"sub": "a", "sub"')
    assert "without repeated members" in faults(CALLERS=text)[0]


def test_name_of_a_key_is_not_one_of_a_caller() -> None:
    keys = api_keys(entry("ci", "a-key-of-the-jobs"))
    assert faults(GOOD, API_KEYS=keys) == ["CALLERS and API_KEYS both have the name 'ci'"]
