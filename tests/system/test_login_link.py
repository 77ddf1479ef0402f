"""A link is all that a person needs to log in at a real provider, in one browser, once."""

from collections.abc import Iterator

import httpx
import pytest

from tests.system.browser import authorize, log_in
from tests.system.deployment import (
    API_KEY,
    Connection,
    Deployment,
    connected,
    deployed,
    only_token,
)
from tests.system.loopback import http
from tests.system.peers import oidc_provider


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    with deployed(oidc_provider, by_issuer=True, count=2) as deployment:
        yield deployment


def link_of(connection: Connection) -> str:
    [answer] = connection.ask()
    assert (answer.status, answer.problem) == (401, "authorization-required")
    return str(answer.members["login"]["link"])


def callback_of(connection: Connection) -> str:
    return f"{connection.workers.urls[0]}/api/callback"


def problem_of(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).rpartition(":")[2]


def test_link_is_all_that_a_browser_needs(deployment: Deployment) -> None:
    with connected(deployment, "by-link") as connection:
        page = log_in(link_of(connection), redirect_uri=callback_of(connection))
        assert page.status_code == 200, page.text
        assert connection.is_accepted(only_token(connection.ask(4)))
        assert connection.tokens.refresh_token is not None


def test_login_of_a_link_is_not_finished_by_another_browser(deployment: Deployment) -> None:
    with connected(deployment, "by-another") as connection:
        came_back_to = authorize(link_of(connection), redirect_uri=callback_of(connection))
        connection.peer.reset_stats()
        answer = http.get(came_back_to)
        assert (answer.status_code, problem_of(answer)) == (400, "other-browser")
        # Its code was not sent.
        assert connection.peer.stats().arrived.total() == 0
        assert connection.verify().status == 404


def test_link_serves_once_whichever_worker_is_asked(deployment: Deployment) -> None:
    with connected(deployment, "once") as connection:
        link = httpx.URL(link_of(connection))
        answers = [
            http.post(f"{url}/api/login", data={"link": link.params["link"]})
            for url in connection.workers.urls
        ]
        assert [answer.status_code for answer in answers] == [303, 400]
        assert problem_of(answers[1]) == "invalid-link"


def test_another_account_at_the_provider_is_distinguished(deployment: Deployment) -> None:
    with connected(deployment, "accounts") as connection:
        connection.log_in()
        before = connection.tokens
        assert before.subject is not None
        connection.log_in()
        assert connection.tokens.subject == before.subject
        kept = connection.record()
        answer = log_in_as_bob(connection)
        assert answer.status_code == 409, answer.text
        assert connection.record() == kept
        assert connection.is_accepted(only_token(connection.ask(4)))
        assert log_in_as_bob(connection, "&replace=true").status_code == 200
        assert connection.tokens.subject not in {None, before.subject}
        # And a refresh does not change it.
        changed = connection.tokens.subject
        connection.expire_access_token()
        assert connection.is_accepted(only_token(connection.ask(4)))
        assert connection.tokens.subject == changed


def test_the_account_is_named_and_a_refresh_keeps_its_name(deployment: Deployment) -> None:
    with connected(deployment, "named") as connection:
        connection.log_in()
        for _ in range(2):
            members = connection.verify().members
            assert members["account"] == "alice@account.example"
            assert members["missing_scopes"] == []
            connection.expire_access_token()
            assert connection.is_accepted(only_token(connection.ask(4)))
        assert log_in_as_bob(connection, "&replace=true").status_code == 200
        assert connection.verify().members["account"] == "bob@account.example"


def log_in_as_bob(connection: Connection, parameters: str = "") -> httpx.Response:
    begun = http.post(
        f"{connection.workers.urls[0]}/api/login?connection={connection.name}{parameters}",
        headers={"x-api-key": API_KEY},
    )
    url = begun.json()["authorization_url"]
    return log_in(url, redirect_uri=callback_of(connection), username="bob")
