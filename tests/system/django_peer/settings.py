"""The Django settings of the django-oauth-toolkit peer."""

from collections.abc import Mapping
from typing import Any

_LOGIN_PAGE = """
<h1>Log in</h1>
<form method="post">{% csrf_token %}{{ form.as_p }}<button type="submit">Log in</button></form>
"""


def django_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``django.conf.settings.configure`` needs."""
    return {
        "ALLOWED_HOSTS": ["127.0.0.1"],
        "DATABASES": {"default": _database(config["database"])},
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "INSTALLED_APPS": [
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "oauth2_provider",
        ],
        "LOGIN_URL": "/login/",
        "MIDDLEWARE": [
            "tests.system.django_peer.control.ControlMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        # Tables come straight from the models: replaying every migration takes seconds.
        "MIGRATION_MODULES": dict.fromkeys(["auth", "contenttypes", "sessions", "oauth2_provider"]),
        "OAUTH2_PROVIDER": {
            "ACCESS_TOKEN_EXPIRE_SECONDS": config["access_lifetime"],
            "PKCE_REQUIRED": False,
            "SCOPES": {"read": "Read", "write": "Write"},
            **config["refresh"],
        },
        # A slow hash protects nothing here.
        "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
        "ROOT_URLCONF": "tests.system.django_peer.urls",
        "SECRET_KEY": "not-a-real-secret-key",
        "STATIC_URL": "/static/",
        "TEMPLATES": [_templates()],
        "USE_TZ": True,
    }


def _database(path: str) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF",
            "timeout": 20,
            # A transaction that reads first and writes later cannot wait for the lock: it fails.
            "transaction_mode": "IMMEDIATE",
        },
    }


def _templates() -> dict[str, Any]:
    return {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.locmem.Loader",
                    {"registration/login.html": _LOGIN_PAGE},
                ),
                "django.template.loaders.app_directories.Loader",
            ],
        },
    }
