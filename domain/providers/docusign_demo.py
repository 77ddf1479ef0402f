"""DocuSign's demo environment. It has accounts of its own.

Register: https://admindemo.docusign.com, Apps and Keys, an app with the redirect URI.
Refresh token: Every login returns one. `SCOPE=signature extended` restarts its lifetime with each
    refresh.
Lifetimes: As in each response: an access token of about 8 hours. Refresh token 30 days, from the
    login without `extended`.
Ends: 30 days without a refresh, or 30 days after the login without `extended`.
Source: docusign/docusign-esign-python-client; Nango, simov/grant, openiddict.
Unverified: The lifetimes, and whether a refresh replaces the refresh token. The preset expects a
    new one, without grace.
"""

from domain.providers.docusign import docusign

PROVIDER = docusign("account-d.docusign.com", name="docusign-demo")
