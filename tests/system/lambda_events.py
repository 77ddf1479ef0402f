"""HTTP requests as the events that AWS hands to a function, and its answers as HTTP again.

Each event has all members that AWS sends. Queries, headers and bodies are changed as AWS does.
"""

from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote

import httpx

from tests.system.client_address import client_address, forwarded

Event: TypeAlias = dict[str, Any]
Answer: TypeAlias = Mapping[str, Any]
MakeEvent: TypeAlias = Callable[[httpx.Request], Event]

_IDENTITY = """
cognitoIdentityPoolId accountId cognitoIdentityId caller principalOrgId accessKey
cognitoAuthenticationType cognitoAuthenticationProvider userArn userAgent user
"""
_TEXT = ("text/", "application/json", "application/javascript", "application/xml")


def http_api_event(request: httpx.Request) -> Event:
    """Make the payload format 2.0, of an HTTP API with the route $default."""
    path, _, query = _target(request)
    headers = {name: ",".join(values) for name, values in _headers(request).items()}
    cookies = headers.pop("cookie", None)
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        **({} if cookies is None else {"cookies": cookies.split("; ")}),
        "headers": headers,
        **({"queryStringParameters": _joined(query)} if query else {}),
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdefghij",
            "domainName": "abcdefghij.execute-api.eu-central-1.amazonaws.com",
            "domainPrefix": "abcdefghij",
            "http": {
                "method": request.method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": client_address(request),
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": "$default",
            "time": "10/Mar/2026:05:16:23 +0000",
            "timeEpoch": 1773119783000,
        },
        **_body(request),
    }


def function_url_event(request: httpx.Request) -> Event:
    """Make the event of a Function URL that lets everybody in."""
    event = http_api_event(request)
    event["requestContext"] |= {
        "accountId": "anonymous",
        "apiId": "abcdefghijklmnopqrstuvwxyz123456",
        "domainName": "abcdefghijklmnopqrstuvwxyz123456.lambda-url.eu-central-1.on.aws",
        "domainPrefix": "abcdefghijklmnopqrstuvwxyz123456",
        "requestId": "e1506fd5-9e7b-434f-bd42-4f8fa224b599",
    }
    return event


def rest_api_event(request: httpx.Request) -> Event:
    """Make the event of a REST API with a greedy path; its queries come decoded."""
    path, _, query = _target(request)
    headers = _headers(request)
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": request.method,
        "headers": {name: values[-1] for name, values in headers.items()},
        "multiValueHeaders": headers,
        "queryStringParameters": {k: v[-1] for k, v in _grouped(query).items()} or None,
        "multiValueQueryStringParameters": _grouped(query) or None,
        "pathParameters": {"proxy": path.lstrip("/")},
        "stageVariables": None,
        "requestContext": {
            "resourceId": "2gxmpl",
            "resourcePath": "/{proxy+}",
            "httpMethod": request.method,
            "extendedRequestId": "JJbxmplHYosFVYQ=",
            "requestTime": "10/Mar/2026:05:16:23 +0000",
            "path": f"/live{path}",
            "accountId": "123456789012",
            "protocol": "HTTP/1.1",
            "stage": "live",
            "domainPrefix": "abcdefghij",
            "requestTimeEpoch": 1773119783000,
            "requestId": "77375676-xmpl-4b79-853a-f982474efe18",
            "identity": {
                **dict.fromkeys(_IDENTITY.split()),
                "sourceIp": client_address(request),
            },
            "domainName": "abcdefghij.execute-api.eu-central-1.amazonaws.com",
            "apiId": "abcdefghij",
        },
        "body": None,
        **_body(request),
    }


def load_balancer_event(request: httpx.Request) -> Event:
    """Make the event of a load balancer with all values. Its queries stay encoded."""
    path, _, query = _target(request)
    return {
        **_from_load_balancer(request, path),
        "multiValueQueryStringParameters": _raw(query),
        "multiValueHeaders": _headers(request),
        **_body(request),
    }


def plain_load_balancer_event(request: httpx.Request) -> Event:
    """Make the event of a load balancer as it is set at first: the last value of each name."""
    path, _, query = _target(request)
    return {
        **_from_load_balancer(request, path),
        "queryStringParameters": {name: values[-1] for name, values in _raw(query).items()},
        "headers": {name: values[-1] for name, values in _headers(request).items()},
        **_body(request),
    }


HTTP_EVENTS: Mapping[str, MakeEvent] = {
    "HTTP API": http_api_event,
    "Function URL": function_url_event,
    "REST API": rest_api_event,
    "load balancer": load_balancer_event,
    "load balancer, single values": plain_load_balancer_event,
}


def scheduler_event() -> Event:
    """Make what EventBridge Scheduler sends where its input is left alone."""
    return {
        "version": "0",
        "id": "9aa90b1b-ecef-4dff-9bcf-2a34b0a1a1a1",
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": "123456789012",
        "time": "2026-03-10T05:00:00Z",
        "region": "eu-central-1",
        "resources": ["arn:aws:scheduler:eu-central-1:123456789012:schedule/default/sweep"],
        "detail": "{}",
    }


def response_of(answer: Answer) -> httpx.Response:
    """Make the response that AWS sends for a function's answer."""
    headers = [
        *answer.get("headers", {}).items(),
        *((k, v) for k, values in answer.get("multiValueHeaders", {}).items() for v in values),
        *(("set-cookie", cookie) for cookie in answer.get("cookies", [])),
    ]
    body: str = answer["body"]
    content = b64decode(body) if answer["isBase64Encoded"] else body.encode()
    return httpx.Response(answer["statusCode"], headers=headers, content=content)


def _from_load_balancer(request: httpx.Request, path: str) -> Event:
    target = "targetgroup/lambda/49e9d65c45c6791a"
    arn = f"arn:aws:elasticloadbalancing:eu-central-1:123456789012:{target}"
    return {
        "requestContext": {"elb": {"targetGroupArn": arn}},
        "httpMethod": request.method,
        "path": path,
        # There even where there is none.
        "body": "",
    }


def _target(request: httpx.Request) -> tuple[str, str, str]:
    target: bytes = request.extensions.get("target", request.url.raw_path)
    path, mark, query = target.decode("latin-1").partition("?")
    return unquote(path), mark, query


def _headers(request: httpx.Request) -> dict[str, list[str]]:
    headers = defaultdict[str, list[str]](list)
    for name, value in forwarded(request, keeps_what_came=True):
        headers[name.decode("latin-1").lower()].append(value.decode("latin-1"))
    return dict(headers) | {
        "x-amzn-trace-id": ["Root=1-5e6722a7-cc56xmpl46db7ae02d4da47e"],
        "x-forwarded-port": ["443"],
        "x-forwarded-proto": ["https"],
    }


def _body(request: httpx.Request) -> Event:
    """Return the body as text where its type is text, else in base64."""
    if not request.content:
        return {"isBase64Encoded": False}
    if request.headers.get("content-type", "").startswith(_TEXT):
        return {"body": request.content.decode(), "isBase64Encoded": False}
    return {"body": b64encode(request.content).decode(), "isBase64Encoded": True}


def _grouped(query: str) -> dict[str, list[str]]:
    values = defaultdict[str, list[str]](list)
    for name, value in parse_qsl(query, keep_blank_values=True):
        values[name].append(value)
    return dict(values)


def _joined(query: str) -> dict[str, str]:
    return {name: ",".join(values) for name, values in _grouped(query).items()}


def _raw(query: str) -> dict[str, list[str]]:
    values = defaultdict[str, list[str]](list)
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        values[name].append(value)
    return dict(values)
