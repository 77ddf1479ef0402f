"""The simulated Digi-Key's product search: current tokens only, quotas, the form of version 4."""

from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from domain.providers.digikey import PROVIDER
from infra.local.simulated.digikey_parts import PARTS
from tests.infra.simulations import CLIENT_ID, CLIENT_SECRET, Simulation

MINUTE, DAY = 60.0, 24 * 3600.0
A_MOMENT = 0.001
KEYWORD, DETAILS = "/products/v4/search/keyword", "/products/v4/search/{}/productdetails"


@dataclass(kw_only=True)
class Shop:
    """A simulated Digi-Key, and the headers of a client with a current token."""

    there: Simulation = field(default_factory=lambda: Simulation(provider=PROVIDER))
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.take_token()

    def take_token(self) -> None:
        """Take a token of the client's own."""
        form = {"grant_type": "client_credentials"}
        tokens = self.there.tokens(self.there.request_tokens(form))
        self.headers = {
            "authorization": f"Bearer {tokens.access_token}",
            "x-digikey-client-id": CLIENT_ID,
        }

    def search(self, **asked: object) -> httpx.Response:
        return self.there.ask("POST", KEYWORD, json=asked, headers=self.headers)

    def details(self, number: str) -> httpx.Response:
        return self.there.ask("GET", DETAILS.format(number), headers=self.headers)


def numbers(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [product["ManufacturerProductNumber"] for product in answer.json()["Products"]]


def test_client_s_own_token_is_valid_for_ten_minutes() -> None:
    shop = Shop()
    assert shop.details("LM358P").status_code == 200
    shop.there.clock.seconds += 600 - A_MOMENT
    assert shop.details("LM358P").status_code == 200
    shop.there.clock.seconds += A_MOMENT * 2
    assert shop.details("LM358P").status_code == 401
    answer = shop.there.request_tokens({"grant_type": "client_credentials"}).json()
    assert (answer["expires_in"], set(answer)) == (
        599,
        {"access_token", "token_type", "expires_in"},
    )


@pytest.mark.parametrize(("method", "path"), [("POST", KEYWORD), ("GET", DETAILS.format("LM358P"))])
@pytest.mark.parametrize(
    ("change", "has_problem"),
    [
        pytest.param({"authorization": "Bearer unknown"}, True, id="unknown-token"),
        pytest.param({"authorization": ""}, True, id="no-token"),
        pytest.param({"x-digikey-client-id": "another"}, False, id="another-client"),
        pytest.param({"x-digikey-client-id": ""}, False, id="no-client"),
    ],
)
def test_products_need_a_current_token_and_the_client_id(
    method: str, path: str, change: dict[str, str], *, has_problem: bool
) -> None:
    shop = Shop()
    headers = {**shop.headers, **change}
    answer = shop.there.ask(method, path, headers=headers, json={"Keywords": "LM358P"})
    assert answer.status_code == 401
    problem = {"type", "title", "status", "detail", "correlationId"}
    assert (set(answer.json()) == problem) is has_problem
    assert "x-ratelimit-remaining" not in answer.headers


def test_token_of_a_login_is_accepted_until_the_next_end() -> None:
    shop = Shop()
    tokens = shop.there.log_in()
    shop.headers["authorization"] = f"Bearer {tokens.access_token}"
    assert numbers(shop.search(Keywords="LM358P")) == ["LM358P"]
    shop.there.control(revoke_grants=True)
    assert shop.search(Keywords="LM358P").status_code == 401


@pytest.mark.parametrize(
    ("asked", "expected", "count"),
    [
        pytest.param({"Keywords": "lm358p"}, ["LM358P"], 1, id="a-number-in-any-case"),
        pytest.param({"Keywords": "296-1395-5-ND"}, ["LM358P"], 1, id="digi-key-s-number"),
        pytest.param(
            {"Keywords": "texas instruments"}, ["LM358P", "LM2596T-5.0/NOPB"], 2, id="words"
        ),
        pytest.param({"Keywords": "texas buck"}, ["LM2596T-5.0/NOPB"], 1, id="all-of-them"),
        pytest.param({"Keywords": "texas", "Limit": 1}, ["LM358P"], 2, id="limit"),
        pytest.param(
            {"Keywords": "texas", "Limit": 1, "Offset": 1}, ["LM2596T-5.0/NOPB"], 2, id="offset"
        ),
        pytest.param({"Keywords": "vacuum tube"}, [], 0, id="none"),
    ],
)
def test_search_finds_parts(asked: dict[str, Any], expected: list[str], count: int) -> None:
    answer = Shop().search(**asked)
    assert numbers(answer) == expected
    assert answer.json()["ProductsCount"] == count


def test_number_has_an_exact_match() -> None:
    shop = Shop()
    (exact,) = shop.search(Keywords="LM358P").json()["ExactMatches"]
    assert exact["Manufacturer"]["Name"] == "Texas Instruments"
    assert shop.search(Keywords="texas").json()["ExactMatches"] == []


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"Keywords": " "},
        {"Keywords": 7},
        {"Keywords": "x", "Limit": 0},
        {"Keywords": "x", "Limit": 51},
        {"Keywords": "x", "Limit": True},
        {"Keywords": "x", "Offset": -1},
        {"Keywords": "x", "Offset": "1"},
    ],
    ids=str,
)
def test_bad_search_is_refused(asked: dict[str, object]) -> None:
    assert Shop().search(**asked).status_code == 400


@pytest.mark.parametrize("body", ["", "[]", "{", "[" * 10_000])
def test_search_that_is_no_object_is_refused(body: str) -> None:
    shop = Shop()
    answer = shop.there.ask("POST", KEYWORD, content=body, headers=shop.headers)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "number", [part.digikey_number for part in PARTS] + ["LM2596T-5.0/NOPB", "LM2596T-5.0%2FNOPB"]
)
def test_each_part_has_its_details(number: str) -> None:
    product = Shop().details(number).json()["Product"]
    (variation,) = product["ProductVariations"]
    prices = [each["UnitPrice"] for each in variation["StandardPricing"]]
    assert product["UnitPrice"] == prices[0] == max(prices)
    assert product["QuantityAvailable"] == variation["QuantityAvailableforPackageType"]
    assert {each["ParameterText"] for each in product["Parameters"]}
    assert variation["DigiKeyProductNumber"].endswith("-ND")
    assert product["Description"]["ProductDescription"]
    assert product["ProductUrl"].startswith("https://www.digikey.com/")
    assert product["DatasheetUrl"].startswith("https://datasheets.example/")


@pytest.mark.parametrize("number", ["unknown", "keyword"])
def test_unknown_part_is_not_found(number: str) -> None:
    answer = Shop().details(number)
    assert (answer.status_code, answer.json()["title"]) == (404, "Not Found")


def test_version_3_has_the_same_parts_and_prices() -> None:
    shop = Shop()

    def ask(method: str, path: str, **asked: object) -> httpx.Response:
        return shop.there.ask(
            method, f"/Search/v3/Products/{path}", json=asked, headers=shop.headers
        )

    later = shop.details("LM358P").json()["Product"]
    product = ask("GET", "296-1395-5-ND").json()
    found = ask("POST", "Keyword", Keywords="lm358p").json()
    by_maker = ask("POST", "ManufacturerProductDetails", ManufacturerProduct="LM358P").json()
    assert found["Products"] == [product] == by_maker["ProductDetails"]
    assert found["ExactDigiKeyProduct"] == product
    assert product["StandardPricing"] == later["ProductVariations"][0]["StandardPricing"]
    assert ask("POST", "Keyword", Keywords="vacuum tube").json()["Products"] == []
    nothing = ask("POST", "ManufacturerProductDetails", ManufacturerProduct="unknown")
    assert nothing.json() == {"ProductDetails": []}
    assert ask("GET", "unknown").status_code == 404
    assert ask("POST", "Keyword", Keywords=7).status_code == 400
    assert ask("POST", "Keyword", Keywords="").status_code == 400
    shop.headers["authorization"] = "Bearer unknown"
    assert ask("GET", "296-1395-5-ND").status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/products/v4/search/",
        "/products/v4/search//productdetails",
        "/Search/v3/Products/",
        "/Search/v3/Products",
    ],
)
def test_search_without_a_number_is_no_path(path: str) -> None:
    assert Shop().there.ask("GET", path).status_code == 404


def test_quotas_are_in_the_headers_and_refuse_what_exceeds_them() -> None:
    shop = Shop()
    start = shop.there.clock.seconds
    first = shop.details("LM358P")
    assert _quota(first) == ("120", "119", "1000", "999")
    assert first.headers["x-burstlimit-reset"] == "60"
    assert first.headers["x-ratelimit-resettime"].startswith("2023-11-15T22:13:20")
    shop.there.clock.seconds += 1.0
    answers = [shop.details("LM358P") for _ in range(119)]
    assert _quota(answers[-1]) == ("120", "0", "1000", "880")
    refused = shop.search(Keywords="LM358P")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "59")
    assert _quota(refused) == ("120", "0", "1000", "880")
    # The first request no longer counts after a minute; the others still do.
    shop.there.clock.seconds = start + MINUTE - A_MOMENT
    assert shop.details("LM358P").status_code == 429
    shop.there.clock.seconds = start + MINUTE
    assert shop.details("LM358P").status_code == 200
    assert shop.details("LM358P").status_code == 429


def test_quota_of_a_day_is_refused_until_the_oldest_request_is_a_day_old() -> None:
    shop = Shop()
    shop.there.control(lifetimes={"client_credentials": "never"})
    shop.take_token()
    start = shop.there.clock.seconds
    for _ in range(1000):
        assert shop.details("unknown").status_code == 404
        shop.there.clock.seconds += 1.0
    refused = shop.details("unknown")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "85400")
    shop.there.clock.seconds = start + DAY
    assert shop.details("unknown").status_code == 404


def _quota(answer: httpx.Response) -> tuple[str, ...]:
    names = ("burstlimit-limit", "burstlimit-remaining", "ratelimit-limit", "ratelimit-remaining")
    return tuple(answer.headers[f"x-{name}"] for name in names)


def test_wrong_secret_gets_no_token() -> None:
    there = Simulation(provider=PROVIDER)
    form = {"grant_type": "client_credentials"}
    answer = there.request_tokens(form, secret=f"{CLIENT_SECRET}x")
    assert answer.json()["ErrorMessage"] == "Invalid clientId"
