"""The django-oauth-toolkit peer: an authorization server on a socket that is already listening."""

import json
import os
import socket
import sys
from collections.abc import Mapping
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import WSGIEnvironment

import django
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command

from tests.system.django_peer.control import CONNECTION
from tests.system.django_peer.settings import django_settings


class _Handler(WSGIRequestHandler):
    def get_environ(self) -> WSGIEnvironment:
        return {**super().get_environ(), CONNECTION: self.connection}


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = listener.getsockname()
        self.setup_environ()


def main(config: Mapping[str, Any]) -> None:
    """Serve until standard input closes, as it does when the tests end, however they end."""
    Thread(target=_end_with_the_tests, daemon=True).start()
    settings.configure(**django_settings(config))
    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)
    _register(config)
    with _Server(socket.socket(fileno=config["listener"])) as server:
        server.set_app(WSGIHandler())
        server.serve_forever()


def _end_with_the_tests() -> None:
    sys.stdin.read()
    os._exit(0)


def _register(config: Mapping[str, Any]) -> None:
    get_user_model().objects.create_user(config["username"], password=config["password"])
    for application in config["applications"]:
        apps.get_model("oauth2_provider", "Application").objects.create(
            name="Token keeper",
            client_id=application["client_id"],
            client_secret=application["client_secret"],
            hash_client_secret=False,
            client_type="confidential",
            authorization_grant_type=application["grant"],
            redirect_uris=application["redirect_uri"],
        )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
