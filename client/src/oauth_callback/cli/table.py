"""The table of commands: a name, its module, and a line of help."""

from __future__ import annotations

COMMANDS = {
    "token": ("print_token", "print an access token"),
    "login": ("log_in", "log in with a browser, and wait until it is done"),
    "status": ("show_status", "show the state of connections"),
    "list": ("list_connections", "list the connections that the key may use"),
    "exec": ("run_program", "run a program with tokens in variables or files"),
    "sink": ("write_sink", "write a token file, and keep it fresh"),
    "git-credential": ("git_credential", "answer git as a credential helper"),
    "kube-exec": ("kube_exec", "answer kubectl as a credential plugin"),
    "docker-credential": ("docker_credential", "answer docker as a credential helper"),
    "headers": ("headers", "print HTTP headers as JSON, for Bazel and Claude"),
    "adopt": ("adopt", "hand over a refresh token that another program got"),
    "doctor": ("doctor", "check the settings, the deployment and the login"),
    "completion": ("completion", "print the completion of a shell"),
}

BY_NAME = {
    "docker-credential-oauth-callback": ("docker-credential",),
    "bazel-credential-oauth-callback": ("headers",),
}
"""Programs that call a helper by its name only, so that a symbolic link has to choose."""
