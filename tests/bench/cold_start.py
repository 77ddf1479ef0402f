"""Cold start on Vercel: processor time up to the first token.

It runs the deployed artifact on Vercel's own runtime, over TLS to a store on this machine. It is
measured by turns with a function that only answers ok.
"""

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import certifi

from tests.bench.figures import Row, Spread, time_row
from tests.bench.stage import API_KEY, Stage
from tests.bench.tls_door import tls_door
from tests.system.certificates import server_certificate
from tests.system.vercel_artifact import Function, artifact
from tests.system.vercel_cold_start import cpu_seconds_to_first_answer, import_times, ok_function

AIM = 1.45
_LONGEST_IMPORTS = 10
_TEN_CHANNELS = json.dumps(
    [
        {"kind": "slack", "name": f"channel-{number}", "url": f"https://hooks.example/{number}"}
        for number in range(10)
    ]
)


def cold_start_rows(stage: Stage, *, starts: int) -> list[Row]:
    """Start each function so many times, and list the imports that make the difference."""
    ok, token = ok_function(), artifact().functions["token"]
    with _over_tls(stage) as environ:
        alerting = {**environ, "ALERTS": _TEN_CHANNELS}
        spent = [
            (_spent(ok, {}), _spent(token, environ), _spent(token, alerting)) for _ in range(starts)
        ]
        imported = import_times(token, environ, "/api/token", API_KEY)
    known = import_times(ok, {}, "/api/health", {})
    return [
        time_row(
            "cold start to the first token: processor time",
            [[ours] for _, ours, _ in spent],
            base="a function that says ok",
            base_rounds=[[theirs] for theirs, _, _ in spent],
            aim=AIM,
        ),
        time_row(
            "cold start with ten channels of alerts: processor time",
            [[ours] for _, _, ours in spent],
            base="a function that says ok",
            base_rounds=[[theirs] for theirs, _, _ in spent],
            aim=AIM,
        ),
        *_import_rows({name: imported[name] for name in imported.keys() - known.keys()}),
    ]


def _spent(function: Function, environ: Mapping[str, str]) -> float:
    path = "/api/token" if environ else "/api/health"
    return cpu_seconds_to_first_answer(function, environ, path, API_KEY)


def _import_rows(imports: Mapping[str, float]) -> Iterator[Row]:
    total = f"{len(imports)} modules: {sum(imports.values()) * 1000:.1f} ms"
    for name in sorted(imports, key=lambda name: imports[name], reverse=True)[:_LONGEST_IMPORTS]:
        milliseconds = Spread.of([imports[name]]).middle * 1000
        yield Row(cells=(f"cold start: import {name}", f"{milliseconds:.1f} ms", total, ""))


@contextmanager
def _over_tls(stage: Stage) -> Iterator[Mapping[str, str]]:
    """Reach the store as a deployment does; ours is one more certificate authority."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        context: ssl.SSLContext = server_certificate(folder, "127.0.0.1")
        authorities = folder / "authorities.pem"
        ours = (folder / "certificate.pem").read_text()
        authorities.write_text(Path(certifi.where()).read_text() + ours)
        with tls_door(urlsplit(stage.front.url).port or 0, context) as port:
            yield {
                **stage.workers.environment,
                "KV_REST_API_URL": f"https://127.0.0.1:{port}",
                "SSL_CERT_FILE": str(authorities),
            }
