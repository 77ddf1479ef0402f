"""A record that the key ring does not open: everybody is told so, and it stays as it is."""

import pytest

from domain.grant import Authorized
from tests.functions.conftest import Deploy
from tests.functions.deployment import WITH_API_KEY, Deployment, idle
from tests.functions.expect import expect_json, expect_problem, expect_token

OTHER = "another-client-secret"
ENDPOINTS = [endpoint for endpoint in WITH_API_KEY if endpoint != ("POST", "/api/login")]


@pytest.fixture
def sealed(deploy: Deploy) -> Deployment:
    """A deployment whose connection `default` is due, and can be read by nobody else."""
    deployment = deploy()
    idle(deployment, "default")
    return deployment


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_every_endpoint_says_so_and_names_the_connection(
    sealed: Deployment, deploy: Deploy, method: str, path: str
) -> None:
    other, rows = deploy(CLIENT_SECRET=OTHER), sealed.rows()
    members = expect_problem(other.call(method, path, other.key), 500, "record-unreadable")
    assert "'default'" in members["detail"]
    assert "ENCRYPTION_KEYS" in members["detail"]
    assert sealed.rows() == rows
    expect_token(sealed.token("default"))


def test_the_sweep_counts_it_as_failed_and_leaves_it(sealed: Deployment, deploy: Deploy) -> None:
    other, rows = deploy(CLIENT_SECRET=OTHER), sealed.rows()
    counts = {"refreshed": 0, "skipped": 0, "failed": 1, "is_complete": True}
    assert expect_json(other.sweep()) == counts
    assert sealed.rows() == rows


def test_a_login_takes_its_place(sealed: Deployment, deploy: Deploy) -> None:
    # With the client's own secret, but another ring: what the derived key has sealed still opens.
    other = deploy(ENCRYPTION_KEYS="MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
    other.log_in("default")
    expect_problem(sealed.token("default"), 500, "record-unreadable")
    sealed.log_in("default")
    assert isinstance(sealed.grant("default"), Authorized)
    expect_token(sealed.token("default"))
