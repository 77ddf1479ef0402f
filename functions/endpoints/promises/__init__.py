"""The HTTP interface as data, from which `infra/openapi.py` writes the OpenAPI document.

No request imports it: its dataclasses would slow every cold start. Tests compare it with the
routes, with `functions.http.problems`, and with the responses of a running deployment.
"""

from functions.endpoints.promises import documents, logins, refreshes, revocations, tokens
from functions.endpoints.promises.operation import Operations

# By path and method; HEAD goes with GET, unless `Operation.has_head` is False.
OPERATIONS: Operations = {
    **tokens.OPERATIONS,
    **logins.OPERATIONS,
    **refreshes.OPERATIONS,
    **revocations.OPERATIONS,
    **documents.OPERATIONS,
}
