"""A record that no key opens: every endpoint reports it, and it stays as it is."""

from tests.functions.conftest import Deploy
from tests.functions.deployment import WITH_API_KEY, idle
from tests.functions.doctors import encryption_key
from tests.functions.expect import expect_json, expect_problem, expect_token

# A login replaces it, an adoption has a body, and lists have other rows.
OTHERS = {"/api/adopt", "/api/connections", "/api/login", "/api/metrics"}
ENDPOINTS = [endpoint for endpoint in WITH_API_KEY if endpoint[1] not in OTHERS]


def test_unreadable_record_is_reported_by_its_connection_and_stays(deploy: Deploy) -> None:
    right, wrong = deploy(), deploy(CLIENT_SECRET="another-client-secret")
    idle(right, "default")
    rows = right.rows()
    for method, path in ENDPOINTS:
        members = expect_problem(wrong.call(method, path, wrong.key), 500, "record-unreadable")
        assert "'default'" in members["detail"]
        assert "ENCRYPTION_KEYS" in members["detail"]
    counts = {"refreshed": 0, "skipped": 0, "failed": 1, "left": 0, "is_complete": True}
    assert expect_json(wrong.sweep()) == counts
    assert right.rows() == rows
    expect_token(right.token("default"))


def test_login_replaces_an_unreadable_record(deploy: Deploy) -> None:
    first, second = (deploy(ENCRYPTION_KEYS=encryption_key(name)) for name in ("one", "two"))
    first.log_in("default")
    expect_problem(second.token("default"), 500, "record-unreadable")
    second.log_in("default")
    assert second.provider.accepts(expect_token(second.token("default")))
    expect_problem(first.token("default"), 500, "record-unreadable")
