"""`ALERTS` and its relatives: each fault names the entry and its member, and no secret."""

import json
from collections.abc import Mapping
from datetime import timedelta
from importlib import util

import pytest

from domain.alerts import AlertKind, AlertThresholds
from functions.settings.alert_targets import (
    Addresses,
    AppriseTarget,
    Chat,
    ChatTarget,
    NtfyTarget,
    ProgramTarget,
    ResendTarget,
    SesTarget,
    SmtpTarget,
    SnsTarget,
    TelegramTarget,
    WebhookTarget,
)
from functions.settings.alert_thresholds import THRESHOLDS
from functions.settings.alerts import AlertSettings
from functions.settings.settings import _ALERT_VARIABLES, Settings, SettingsError
from tests.functions.alerts.messages import SECRET

OTHER_SECRET = "whsec_" + "YW5vdGhlci1zZWNyZXQtb2YtYW55Ym9keS1lbHNl"
URL = "https://hooks.example/not-a-real-hook"
TOKEN = "123:not-a-real-token-of-a-bot"
ARN = "arn:aws:sns:eu-central-1:123456789012:alerts"
MAIL = {"from": "Keeper <keeper@example.com>", "to": ["ada@example.com", "b@example.com"]}
ADDRESSES = Addresses(
    sender="Keeper <keeper@example.com>", recipients=("ada@example.com", "b@example.com")
)
# A misplaced secret, which no fault may repeat.
MARK = "TextThatIsNotRepeated"


def settings_of(
    entries: object = None, *, allows_programs: bool = False, **variables: str
) -> Settings:
    alerts = {} if entries is None else {"ALERTS": json.dumps(entries)}
    environ = {
        "CLIENT_ID": "c",
        "CLIENT_SECRET": "s",
        "API_KEY": "the-api-key-of-this-test",
        "SQLITE_PATH": "x",
        **alerts,
        **variables,
    }
    return Settings.from_environ(environ, allows_programs=allows_programs)


def alerts_of(entries: object = None, **variables: str) -> AlertSettings:
    alerts = settings_of(entries, allows_programs=True, **variables).alerts()
    assert alerts is not None
    return alerts


def faults_of(entries: object = None, **variables: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        settings_of(entries, allows_programs=False, **variables).alerts()
    assert MARK not in str(caught.value)
    return caught.value.faults


def test_without_a_variable_there_are_no_alerts() -> None:
    assert settings_of().alerts() is None


@pytest.mark.parametrize(
    ("entry", "target"),
    [
        pytest.param(
            {"kind": "webhook", "url": URL, "secret": f"{SECRET} {OTHER_SECRET}"},
            WebhookTarget(url=URL, secrets=(SECRET, OTHER_SECRET)),
            id="webhook",
        ),
        *(
            pytest.param(
                {"kind": chat.value, "url": URL}, ChatTarget(chat=chat, url=URL), id=chat.value
            )
            for chat in Chat
        ),
        pytest.param(
            {"kind": "ntfy", "topic": "keeper-alerts"},
            NtfyTarget(server="https://ntfy.sh", topic="keeper-alerts", token=None),
            id="ntfy",
        ),
        pytest.param(
            {"kind": "ntfy", "topic": "a", "server": "http://127.0.0.1:8080", "token": "tk_x"},
            NtfyTarget(server="http://127.0.0.1:8080", topic="a", token="tk_x"),
            id="own-ntfy",
        ),
        pytest.param(
            {"kind": "telegram", "token": TOKEN, "chat": -100123, "thread": 5},
            TelegramTarget(
                server="https://api.telegram.org", token=TOKEN, chat="-100123", thread=5
            ),
            id="telegram",
        ),
        pytest.param(
            {"kind": "smtp", "host": "smtp.example.com", **MAIL},
            SmtpTarget(
                addresses=ADDRESSES,
                host="smtp.example.com",
                port=465,
                starttls=False,
                username=None,
                password=None,
            ),
            id="smtp",
        ),
        pytest.param(
            {
                "kind": "smtp",
                "host": "smtp.example.com",
                "tls": "starttls",
                "username": "keeper",
                "password": "p",
                **MAIL,
            },
            SmtpTarget(
                addresses=ADDRESSES,
                host="smtp.example.com",
                port=587,
                starttls=True,
                username="keeper",
                password="p",
            ),
            id="starttls",
        ),
        pytest.param(
            {"kind": "resend", "api_key": "re_x", **MAIL},
            ResendTarget(addresses=ADDRESSES, server="https://api.resend.com", api_key="re_x"),
            id="resend",
        ),
        pytest.param(
            {"kind": "ses", "region": "eu-central-1", **MAIL},
            SesTarget(addresses=ADDRESSES, region="eu-central-1"),
            id="ses",
        ),
        pytest.param({"kind": "sns", "topic_arn": ARN}, SnsTarget(topic_arn=ARN), id="sns"),
        pytest.param(
            {"kind": "command", "command": ["/usr/bin/notify", "a b"]},
            ProgramTarget(command=("/usr/bin/notify", "a b")),
            id="command",
        ),
        pytest.param(
            {"kind": "apprise", "url": "pover://u@t"},
            AppriseTarget(url="pover://u@t"),
            id="apprise",
        ),
    ],
)
def test_each_kind_is_read(entry: Mapping[str, object], target: object) -> None:
    (channel,) = alerts_of([entry]).channels
    assert (channel.name, channel.target) == (entry["kind"], target)
    assert "not-a-real" not in repr(channel)


def test_a_secret_may_be_in_a_variable_of_its_own() -> None:
    entries = [
        {"kind": "slack", "url_env": "SLACK_URL"},
        {"kind": "telegram", "token_env": "BOT_TOKEN", "chat": "@ops"},
    ]
    alerts = alerts_of(entries, SLACK_URL=f" {URL}\n", BOT_TOKEN=TOKEN)
    assert [channel.target for channel in alerts.channels] == [
        ChatTarget(chat=Chat.SLACK, url=URL),
        TelegramTarget(server="https://api.telegram.org", token=TOKEN, chat="@ops", thread=None),
    ]


def test_the_simple_way_is_one_webhook() -> None:
    alerts = alerts_of(ALERT_WEBHOOK_URL=URL, ALERT_WEBHOOK_SECRET=f"{SECRET} {OTHER_SECRET}")
    (channel,) = alerts.channels
    assert channel.name == "webhook"
    assert channel.target == WebhookTarget(url=URL, secrets=(SECRET, OTHER_SECRET))
    assert alerts.thresholds == AlertThresholds()


SLACK = {"kind": "slack", "url": URL}


@pytest.mark.parametrize(
    ("members", "kind", "connection", "is_taken"),
    [
        pytest.param({}, AlertKind.SWEEP_OVERDUE, None, True, id="all"),
        pytest.param(
            {"events": ["connection.recovered"]}, AlertKind.RECOVERED, "a", True, id="event"
        ),
        pytest.param(
            {"events": ["connection.recovered"]}, AlertKind.ROLLED_BACK, "a", False, id="no-event"
        ),
        pytest.param(
            {"events": ["connection.recovered"]}, AlertKind.TEST, None, True, id="test-always"
        ),
        pytest.param({"connections": ["google:*"]}, AlertKind.TEST, None, True, id="test-there"),
        pytest.param(
            {"connections": ["google:*"]}, AlertKind.RECOVERED, "google:alice", True, id="account"
        ),
        pytest.param(
            {"connections": ["google:*"]}, AlertKind.RECOVERED, "google", False, id="no-account"
        ),
        pytest.param(
            {"connections": ["google:*"]}, AlertKind.RECOVERED, "git:alice", False, id="other"
        ),
        pytest.param({"connections": ["a"]}, AlertKind.RECOVERED, "a", True, id="connection"),
        pytest.param(
            {"connections": ["a"]}, AlertKind.SWEEP_OVERDUE, None, False, id="no-deployment"
        ),
        pytest.param(
            {"connections": ["a"], "events": ["sweep.overdue"]},
            *(AlertKind.SWEEP_OVERDUE, None, True),
            id="deployment-by-name",
        ),
        pytest.param(
            {"connections": ["a"], "events": ["sweep.overdue"]},
            *(AlertKind.RECOVERED, "a", False),
            id="both",
        ),
    ],
)
def test_events_and_connections_restrict_a_channel(
    members: Mapping[str, object],
    kind: AlertKind,
    connection: str | None,
    is_taken: bool,  # noqa: FBT001 - a column of the table
) -> None:
    (channel,) = alerts_of([{**SLACK, **members}]).channels
    assert channel.takes(kind, connection) is is_taken


def entry(kind: str, **members: object) -> dict[str, object]:
    return {"kind": kind, "name": "ops", **members}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param({"kind": "pager"}, "entry 1: kind must be one of webhook, slack", id="kind"),
        pytest.param({"name": "ops"}, "'ops': kind must be one of", id="no-kind"),
        pytest.param({"kind": ["slack"], "name": "ops"}, "'ops': kind must be", id="kind-a-list"),
        pytest.param(entry("slack", url=URL, secret=MARK), "unknown member", id="member"),
        pytest.param(entry("slack", url=URL, name=MARK + " x"), "name must be up to 64", id="name"),
        pytest.param(entry("slack"), "url or url_env is required", id="no-url"),
        pytest.param(
            entry("slack", url=f"http://{MARK}.example"), "url must be an https", id="http"
        ),
        pytest.param(entry("slack", url=f"https://u:{MARK}@x.example"), "url must be", id="user"),
        pytest.param(entry("slack", url=f'"https://{MARK}"'), "url is in quotes", id="quotes"),
        pytest.param(entry("slack", url=5), "url must be an https URL", id="url-a-number"),
        pytest.param(entry("slack", url_env="UNSET"), "url_env names UNSET, which", id="unset"),
        pytest.param(entry("slack", url_env=f"{MARK} x"), "url_env must be the name", id="no-name"),
        pytest.param(
            entry("slack", url=URL, url_env="SLACK_URL"), "set url or url_env, not both", id="both"
        ),
        pytest.param(
            entry("slack", url_env="PLAIN_URL"),
            "url (in PLAIN_URL) must be an https",
            id="in-plain",
        ),
        pytest.param(
            entry("slack", url=URL, events=["login"]), "events must be a list", id="event"
        ),
        pytest.param(entry("slack", url=URL, events=[]), "events must be a list", id="no-events"),
        pytest.param(
            entry("slack", url=URL, connections=["a b"]), "connections must be", id="connection"
        ),
        pytest.param(entry("webhook", url=URL), "secret or secret_env is required", id="no-secret"),
        pytest.param(
            entry("webhook", url=URL, secret=MARK * 3),
            "secret must be whsec_ and 24 to 64",
            id="plain",
        ),
        pytest.param(
            entry("webhook", url=URL, secret="whsec_dG9vLXNob3J0"),
            "secret must be whsec_",
            id="short",
        ),
        pytest.param(
            entry("webhook", url=URL, secret="whsec_" + "QUJD" * 22), "secret must be", id="long"
        ),
        pytest.param(
            entry("webhook", url=URL, secret=f"{SECRET} {MARK}"), "secret must be", id="one-of-two"
        ),
        pytest.param(entry("ntfy", topic=f"{MARK}/x"), "topic must be a topic", id="topic"),
        pytest.param(
            entry("ntfy", topic="a", server="http://ntfy.sh"), "server must be", id="ntfy"
        ),
        pytest.param(entry("ntfy", topic="a", token=f"{MARK} x"), "token must be", id="ntfy-token"),
        pytest.param(entry("telegram", token=MARK, chat=1), "token must be the token", id="bot"),
        pytest.param(entry("telegram", token=TOKEN), "chat is required", id="no-chat"),
        pytest.param(entry("telegram", token=TOKEN, chat=True), "chat must be", id="chat-true"),
        pytest.param(
            entry("telegram", token=TOKEN, chat=1, thread=0), "thread must be a whole", id="thread"
        ),
        pytest.param(
            entry("smtp", host="h", tls="none", **MAIL),
            "tls must be implicit or starttls",
            id="tls",
        ),
        pytest.param(entry("smtp", host="h", tls=False, **MAIL), "tls must be", id="tls-false"),
        pytest.param(entry("smtp", host="smtp://h", **MAIL), "host must be the name", id="host"),
        pytest.param(entry("smtp", host="h", port=0, **MAIL), "port must be a whole", id="port"),
        pytest.param(
            entry("smtp", host="h", username="u", **MAIL), "username and password", id="no-password"
        ),
        pytest.param(
            entry("smtp", **{"host": "h", **MAIL, "from": "keeper"}),
            "from must be a mail",
            id="from",
        ),
        pytest.param(
            entry("smtp", **{"host": "h", **MAIL, "to": "a@x.example, b@x.example"}),
            *("to must be a mail address",),
            id="two-in-one",
        ),
        pytest.param(
            entry("smtp", **{"host": "h", **MAIL, "to": "a@x.example\r\nBcc: b@x.example"}),
            *("to has the invisible character",),
            id="header",
        ),
        pytest.param(entry("smtp", **{"host": "h", **MAIL, "to": []}), "to must be", id="no-to"),
        pytest.param(entry("resend", **MAIL), "api_key or api_key_env is", id="resend"),
        pytest.param(entry("ses", region="Frankfurt", **MAIL), "region must be", id="region"),
        pytest.param(entry("sns", topic_arn="alerts"), "topic_arn must be the ARN", id="arn"),
        pytest.param(entry("apprise", url=MARK), "url must be a URL of Apprise", id="apprise"),
        pytest.param(entry("command", command=["x"]), "only `make run` starts", id="command"),
    ],
)
def test_a_fault_names_the_entry_and_the_member(found: Mapping[str, object], expected: str) -> None:
    (fault,) = faults_of([found], SLACK_URL=URL, PLAIN_URL=f"http://{MARK}.example")
    assert fault.startswith("ALERTS, entry ")
    assert expected in fault


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("rm -rf /", id="a-shell-string"),
        pytest.param([], id="empty"),
        pytest.param(["x", 5], id="a-number"),
        pytest.param([""], id="blank"),
        pytest.param(None, id="none"),
    ],
)
def test_a_command_is_a_list_of_texts(command: object) -> None:
    with pytest.raises(SettingsError, match="entry 1: command must be"):
        settings_of([{"kind": "command", "command": command}], allows_programs=True).alerts()


@pytest.mark.parametrize(
    ("found", "library"),
    [
        pytest.param({"kind": "ses", **MAIL}, "botocore", id="ses"),
        pytest.param({"kind": "sns", "topic_arn": ARN}, "botocore", id="sns"),
        pytest.param({"kind": "apprise", "url": "x://y"}, "apprise", id="apprise"),
    ],
)
def test_a_missing_library_is_a_fault_at_the_start(
    found: Mapping[str, object], library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == library else name)
    (fault,) = faults_of([found])
    assert f"requires {library}: pip install -r infra/locks/" in fault


@pytest.mark.parametrize(
    "text", ["{", "{}", "[]", "null", '"x"', "[1]", '[{"kind": "slack", "kind": "slack"}]']
)
def test_a_value_that_is_no_list_of_entries_is_a_fault(text: str) -> None:
    assert all(fault.startswith("ALERTS") for fault in faults_of(ALERTS=text))


def test_two_channels_of_one_name_are_a_fault() -> None:
    assert faults_of([SLACK, SLACK]) == ["ALERTS has 2 channels named 'slack': give each a name"]
    webhook = {"kind": "webhook", "url": URL, "secret": SECRET}
    simple = {"ALERT_WEBHOOK_URL": URL, "ALERT_WEBHOOK_SECRET": SECRET}
    (fault,) = faults_of([webhook], **simple)
    assert "'webhook' (one of them is that of ALERT_WEBHOOK_URL)" in fault


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        pytest.param({"ALERT_WEBHOOK_URL": URL}, "SECRET is required", id="no-secret"),
        pytest.param({"ALERT_WEBHOOK_SECRET": SECRET}, "URL is not", id="no-url"),
        pytest.param(
            {"ALERT_WEBHOOK_URL": f"http://{MARK}.example", "ALERT_WEBHOOK_SECRET": SECRET},
            "ALERT_WEBHOOK_URL must be an https URL",
            id="http",
        ),
        pytest.param(
            {"ALERT_WEBHOOK_URL": URL, "ALERT_WEBHOOK_SECRET": MARK},
            "ALERT_WEBHOOK_SECRET must be whsec_ and 24 to 64 bytes",
            id="no-webhook-secret",
        ),
        pytest.param({"ALERT_EXPIRES_SOON": "14"}, "ALERT_EXPIRES_SOON must be", id="no-unit"),
        pytest.param({"ALERT_EXPIRES_SOON": ","}, "ALERT_EXPIRES_SOON must be", id="none"),
        pytest.param({"ALERT_EXPIRES_SOON": "400d"}, "at most 366d", id="too-long"),
        pytest.param({"ALERT_REFRESH_FAILING": "0m"}, "must be a duration", id="zero"),
        pytest.param({"ALERT_SWEEP_OVERDUE": "59m"}, "at least 1h", id="short-sweep"),
    ],
)
def test_a_fault_names_the_variable(variables: Mapping[str, str], expected: str) -> None:
    (fault,) = faults_of(**variables)
    assert expected in fault


def test_thresholds_are_read_the_longest_first() -> None:
    alerts = alerts_of(
        [SLACK],
        ALERT_EXPIRES_SOON="2d, 30d 12h",
        ALERT_REFRESH_FAILING="90m",
        ALERT_SWEEP_OVERDUE="2d",
    )
    assert alerts.thresholds == AlertThresholds(
        expires_soon=(timedelta(days=30), timedelta(days=2), timedelta(hours=12)),
        refresh_failing=timedelta(minutes=90),
        sweep_overdue=timedelta(days=2),
    )


def test_thresholds_without_a_channel_switch_nothing_on() -> None:
    assert settings_of(ALERT_REFRESH_FAILING="2h").alerts() is None


def test_each_variable_of_alerts_switches_the_reading_on() -> None:
    simple = {"ALERTS", "ALERT_WEBHOOK_URL", "ALERT_WEBHOOK_SECRET"}
    assert set(_ALERT_VARIABLES) == {*simple, *THRESHOLDS}
