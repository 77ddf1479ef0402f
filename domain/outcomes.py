"""The outcomes of the entries in a ledger, those of rules 6 and 7 of `decide.py` included."""

from domain.grant import Cause, Failure
from domain.ledger import (
    DONE,
    NOT_DELIVERED,
    NOT_SUPPORTED,
    TOKENS,
    TOKENS_OF_ANOTHER_ACCOUNT,
)

OUTCOMES = (
    TOKENS,
    TOKENS_OF_ANOTHER_ACCOUNT,
    DONE,
    NOT_SUPPORTED,
    NOT_DELIVERED,
    Cause.REFRESH_TOKEN_REJECTED.value,
    Cause.REFRESH_ANSWER_LOST.value,
    *(failure.value for failure in Failure),
)
"""The outcomes that an entry of a connection can have."""
