"""What every endpoint promises its callers, as data: `infra/openapi.py` writes the document of it.

Nothing here is imported where requests are answered: its dataclasses would cost every cold start.
Tests hold it to the routes, to `functions.http.problems`, and to what a running deployment answers.
"""

from functions.endpoints.promises import documents, logins, refreshes, revocations, tokens
from functions.endpoints.promises.operation import Operations

# By path, and by method; HEAD is where GET is, unless `Operation.has_head` says otherwise.
OPERATIONS: Operations = {
    **tokens.OPERATIONS,
    **logins.OPERATIONS,
    **refreshes.OPERATIONS,
    **revocations.OPERATIONS,
    **documents.OPERATIONS,
}
