"""Tokens for libraries, in the form that each one takes. A library is imported when it is used."""

from oauth_callback.adapters.for_anthropic import anthropic_async_credentials, anthropic_credentials
from oauth_callback.adapters.for_azure import azure_async_credential, azure_credential
from oauth_callback.adapters.for_github import github_auth
from oauth_callback.adapters.for_google import google_credentials, google_refresh_handler
from oauth_callback.adapters.for_httpx import httpx_auth
from oauth_callback.adapters.for_requests import requests_auth, requests_session

__all__ = [
    "anthropic_async_credentials",
    "anthropic_credentials",
    "azure_async_credential",
    "azure_credential",
    "github_auth",
    "google_credentials",
    "google_refresh_handler",
    "httpx_auth",
    "requests_auth",
    "requests_session",
]
