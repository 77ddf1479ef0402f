"""The promises, by the words in which a breach is reported, and what they take for granted.

Nothing here is taken from how the rules of refresh are written.
"""

from datetime import timedelta
from enum import Enum

# Each clock is off by this much at most; what two of them say of a duration, by twice as much.
SKEW = timedelta(seconds=2)
LEASE = timedelta(seconds=60)
SEND_WITHIN = timedelta(seconds=5)
FIRST_BACKOFF = timedelta(seconds=1)
LONGEST_BACKOFF = timedelta(minutes=5)
LONGEST_RETRY_AFTER = timedelta(hours=1)
# An explicit refresh so soon after another one returns the result of that.
MIN_REFRESH_INTERVAL = timedelta(seconds=10)
# An explicit refresh retries after a final refusal, this long after it.
REFUSED_RETRY_WAIT = timedelta(minutes=5)
# In its last minutes, or the last third of its life, a token is served and replaced meanwhile.
REFRESHED_EARLY = timedelta(minutes=5)
EARLY_PART = 3
# An idle grant is left alone for the first part of its refresh token's life.
IDLE_PART = 3
# Or for so long, if nobody knows when it expires.
IDLE_WITHOUT_DATE = timedelta(days=3) - 2 * SKEW
# Of tokens that APIs refuse one after the other, so many are replaced in this time: at once, and
# after waits of 10, 20, 40, 80 and 160 s.
REJECTIONS_COUNTED = timedelta(minutes=10)
MOST_REJECTIONS = 6
LONGEST_REJECTION_WAIT = timedelta(minutes=5)
# A sweep leaves the rest of a client's connections after ten failures in a row, while four run.
MOST_ASKED_WHILE_AWAY = 13
# A write whose store is slow may take this long.
TIME_TO_WRITE = timedelta(seconds=5)
# Tries before an instance reports that the store is unavailable.
WRITES_BEFORE_GIVING_UP = 4


class Rule(Enum):
    """A promise, by the words in which its breach is reported."""

    ONE_ATTEMPT = "two attempts are in flight for one generation"
    OWN_ANSWER = "an instance repeats a request whose answer it has and has not stored yet"
    FIRST_MAY_LAND = "a request is repeated while the first one may still land"
    INTENT_FIRST = "a request is sent for which no intent is stored"
    SENT_IN_TIME = "a request is sent by an instance that had stalled"
    EXPIRED_SENT = "a refresh token is used that has expired"
    NOT_IN_CHARGE = "an instance reports a failure of another instance's attempt"
    FORWARD = "the store goes back to an older generation"
    TOKENS_FORWARD = "the store goes back to an older refresh token"
    OVERWRITTEN = "an instance replaces a record that it could not read"
    LEDGER = "a ledger lacks an event, or has it twice or too early"
    OWN_WRITE = "an instance gets a conflict with its own write"
    MIXED_UP = "a connection is given what belongs to another"
    STORED_FIRST = "tokens are served that the store never had"
    EXPIRED = "a token is served that has expired or is about to"
    ENDED = "a token is served that a refresh may have ended"
    ENDED_WRONGLY = "a grant is ended whose refresh token the provider honours"
    LOST = "a login is asked for while the provider honours something we have"
    WRONG_CAUSE = "a login is asked for, and the reason given is wrong"
    UNEXPLAINED_LOSS = "a grant is lost, and nothing that happened explains it"
    DROPPED = "the store has a spent refresh token while an instance has a valid one"
    GAVE_UP = "an answer is given up that the store has not refused often enough"
    BACKOFF = "the provider is asked again before its time"
    APART = "tokens are replaced that had just been replaced"
    NOT_NEW = "a requested refresh is answered with tokens from before"
    INSISTED = "a refresh token that was refused is tried again before its time"
    SPARED = "a valid access token is risked for a refresh token in doubt"
    SPENT = "a refresh token is sent again after a caller was given what replaced it"
    TOO_EARLY = "a refresh is requested while the provider is known to refuse it"
    GRACE = "a refresh token in doubt is not used again while the provider still honours it"
    NOT_DUE = "the sweep refreshes what it should leave alone"
    DIED_IDLE = "the sweep lets an unused grant expire"
    COUNTED = "the sweep reports wrong counts"
    STARVED = "the sweep leaves a connection whose client has a provider that answers"
    ASKED_WHILE_AWAY = "the sweep asks a provider that is away for each connection"
    RESURRECTED = "a grant that was revoked is used, or comes back"
    TAKEN = "a login is not taken that was begun later"
    ANSWERED = "a program waits too long for its answer"
    DELAYED = "a program waits although nothing is in flight"
    REFUSED_SERVED = "a program gets the token that it has named as refused"
    REFUSED_OFTEN = "an API that refuses every token costs too many refreshes"
    REFUSED_WAITS = "a program waits for another token, although the last refresh is long ago"
    SHARED = "callers cost more than one request for one token"
    RAISED = "a program gets an exception that the keeper does not promise"
    ADOPTED_OVER = "tokens are adopted over a grant that works"
    OTHER_ACCOUNT = "tokens of another account are adopted"
    UNPROVEN = "adopted tokens are used as if a refresh had proven them"
    NOT_KEPT = "an adoption ends, and the earlier grant is not as it was"
    NOT_PROVEN = "adopted tokens wait for their proof for ever"
    ADOPTION_ANSWER = "an adoption is answered with what is not so"
    ALERT_MISSING = "a state has begun or ended, and no alert is owed"
    ALERT_FALSE = "an alert is owed for a state that did not occur"
    ALERT_CHANGED = "an alert with the same id has other contents"
    ALERT_UNSTORED = "an alert is sent that no record has"
    ALERT_LOST = "an alert is neither delivered nor given up"
    ALERT_KEPT = "an alert is still owed although every channel has it"
    ALERT_ORDER = "a channel gets the alerts of a connection out of order"
    ALERT_REPEATED = "an alert is sent again although its delivery is known"
    ALERT_HURRIED = "an alert is tried again before its time, or too often"
    ALERT_INSISTED = "an alert is tried long after it was to be given up"
    ALERT_GIVEN_UP = "an alert is given up before its time, or without an entry in the history"
    ALERT_GONE = "an instance asks a channel again that is gone for good"
    ALERT_LATE = "an alert is late although its channel is there"
    RECOVERS = "the faults are over, and there is no token"


class BrokenRuleError(AssertionError):
    """A promise is broken."""

    def __init__(self, rule: Rule, detail: str) -> None:
        super().__init__(f"{rule.value}: {detail}")
        self.rule = rule


# The rules that hold although a record was lost, and an older one may be back.
NEVER_OFF = frozenset(
    {
        Rule.MIXED_UP,
        Rule.STORED_FIRST,
        Rule.EXPIRED,
        Rule.EXPIRED_SENT,
        Rule.SENT_IN_TIME,
        Rule.ANSWERED,
        Rule.RAISED,
        Rule.RECOVERS,
    }
)
