"""Each recipe with the tool of this machine. A check returns what it saw, for a person."""

import os
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from tests.docs.pages import block, blocks, page
from tests.recipes.front import digikey_front
from tests.recipes.place import AbsentError, Place
from tests.recipes.runs import CLIENT_ID, Run, start
from tests.system.waiting import wait_until

Check = Callable[[Place], str]
_MESSAGE = "From: me@mail.example\nTo: you@mail.example\nSubject: hello\n\nhello\n"
_SUPPLIER = f"""
import sys
from oauth_callback.shims import inventree_part_import as shim
from oauth_callback import TokenSource
from inventree_part_import.suppliers import supplier_digikey as digikey

shim.replace_session(digikey.DigiKeyApi, TokenSource())
supplier = digikey.DigiKey()
supplier.setup(client_id={CLIENT_ID!r}, client_secret="unused", currency="USD", language="en",
               location="US", interactive_part_matches=5)
(part,), count = supplier.search("LM358P")
print(part.MPN, part.SKU, count)
"""
_KINTREE = """
from kintree.search import digikey_api

part = digikey_api.fetch_part_info("LM358P")
print(part.get("manufacturer_part_number"), part.get("digi_key_part_number"))
"""
_MCP_CALL = """
import asyncio, sys
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
import os

async def main():
    server = StdioTransport(
        sys.executable,
        ["-m", "oauth_callback.shims", "digikey-mcp", os.environ["DIGIKEY_MCP"]],
        env=dict(os.environ),
    )
    async with Client(server) as client:
        answer = await client.call_tool("product_details", {"product_number": "LM358P"})
        print("LM358P" in str(answer))

asyncio.run(main())
"""


def curl(place: Place) -> str:
    """Run the requests and the pipes of the page."""
    place.need("curl", "apt-get install curl")
    url = f"http://localhost:{place.ports['http']}/parts"
    for lines in blocks("sh", page("recipes/curl.md")):
        printed = place.shell(lines, API_URL=url)
        assert printed.count('{"parts": 6}') == lines.count("$API_URL"), printed
    return "2 ways: one request, and the command"


def git(place: Place) -> str:
    """Clone and fetch with the helper."""
    place.need("git", "apt-get install git")
    site = place.site.folder
    site.mkdir(exist_ok=True)
    author = "-c user.name=me -c user.email=me@mail.example"
    place.shell(
        f"cd {site} && rm -rf * && git init -q seed"
        f" && git -C seed {author} commit -q --allow-empty -m one"
        " && git clone -q --bare seed repo.git && git -C repo.git update-server-info"
    )
    address = f"http://localhost:{place.ports['http']}"
    (lines,) = blocks("sh", page("recipes/git.md"))
    lines = lines.replace("https://git.example", address).replace(" --connection git", "")
    place.shell(
        f"{lines}\nrm -rf repo && git clone -q {address}/repo.git && git -C repo fetch -q",
        GIT_TERMINAL_PROMPT="0",
    )
    return "clone and fetch"


def kubectl(place: Place) -> str:
    """Ask an API server with the exec plugin."""
    place.need("kubectl", "the package kubectl")
    (users,) = blocks("yaml", page("recipes/kubectl.md"))
    config = (
        f"apiVersion: v1\nkind: Config\ncurrent-context: me\n{users.replace(', CONNECTION', '')}"
        "clusters:\n- name: here\n  cluster:\n"
        f"    server: https://localhost:{place.ports['https']}\n"
        f"    certificate-authority: {place.ca}\n"
        "contexts:\n- name: me\n  context: {cluster: here, user: me}\n"
    )
    place.write("kubeconfig", config)
    printed = place.shell("kubectl --kubeconfig kubeconfig get --raw /version")
    assert "v1.32.0" in printed, printed
    return "get --raw /version"


def rclone_webdav(place: Place) -> str:
    """List a WebDAV folder by the command."""
    place.need("rclone", "apt-get install rclone")
    lines = block("ini", page("recipes/rclone.md"), having="bearer_token_command")
    address = f"http://localhost:{place.ports['http']}/dav/"
    place.write(
        "rclone.conf", lines.replace("https://dav.example/", address).replace(" CONNECTION", "")
    )
    place.shell("rclone --config rclone.conf --retries 1 lsd files:")
    return "lsd of a WebDAV folder"


def rclone_token_url(place: Place) -> str:
    """Request a token by the token URL. Drive itself is out of reach."""
    place.need("rclone", "apt-get install rclone")
    lines = block("ini", page("recipes/rclone.md"), having="token_url")
    for old, new in {
        "https://NAME.example": place.server.address,
        "CONNECTION": "default",
        "API_KEY": place.key,
    }.items():
        lines = lines.replace(old, new)
    file = place.write("drive.conf", lines)
    nowhere = "http://127.0.0.1:9"
    place.shell(
        "rclone --config drive.conf --retries 1 --low-level-retries 1 about drive:",
        code=1,
        HTTPS_PROXY=nowhere,
    )
    written = file.read_text()
    assert '"access_token":"none"' not in written, "no token was requested"
    assert place.key in written
    return "a token by the token URL; Drive is out of reach"


def msmtp(place: Place) -> str:
    """Send a mail."""
    place.need("msmtp", "apt-get install msmtp")
    lines = block("text", page("recipes/mail.md"), having="passwordeval")
    for old, new in {
        "smtp.example": "localhost",
        "587": str(place.ports["smtps"]),
        "tls on": f"tls on\ntls_starttls off\ntls_trust_file {place.ca}",
        "token mail": "token",
    }.items():
        lines = lines.replace(old, new)
    place.write(".msmtprc", lines)
    _forget(place)
    place.shell("msmtp you@mail.example", stdin=_MESSAGE)
    assert place.mail.seen == ["smtp", "message"], place.mail.seen
    return "a mail by XOAUTH2"


def mbsync(place: Place) -> str:
    """Synchronise an empty mailbox."""
    place.need("mbsync", "apt-get install isync")
    if not list(Path("/usr/lib").glob("**/sasl2/libxoauth2*")) and not list(
        Path("/usr/lib").glob("**/sasl2/libkdexoauth2*")
    ):
        raise AbsentError("apt-get install libsasl2-modules-kdexoauth2")
    lines = block("text", page("recipes/mail.md"), having="PassCmd").replace("token mail", "token")
    place.write(
        ".mbsyncrc",
        f"IMAPAccount a\nHost localhost\nPort {place.ports['imaps']}\nUser me@mail.example\n"
        f"SSLType IMAPS\nCertificateFile {place.ca}\n{lines}\n"
        "IMAPStore far\nAccount a\n\nMaildirStore near\nPath ~/mail/\nInbox ~/mail/INBOX\n\n"
        "Channel c\nFar :far:\nNear :near:\nCreate Near\n",
    )
    (place.home / "mail").mkdir(exist_ok=True)
    _forget(place)
    place.shell("mbsync c")
    assert place.mail.seen == ["imap"], place.mail.seen
    return "a mailbox by XOAUTH2"


def mutt(place: Place) -> str:
    """Send a mail. Its IMAP needs a terminal."""
    place.need("mutt", "apt-get install mutt")
    lines = block("text", page("recipes/mail.md"), having="smtp_oauth").replace("mail", "")
    place.write(
        ".muttrc",
        f'{lines}\nset smtp_url = "smtps://me@localhost:{place.ports["smtps"]}"\n'
        f'set certificate_file = "{place.ca}"\nset from = "me@mail.example"\nset copy = no\n',
    )
    _forget(place)
    place.shell("mutt -F .muttrc -s hello you@mail.example", stdin="hello\n")
    assert place.mail.seen == ["smtp", "message"], place.mail.seen
    return "a mail by XOAUTH2"


def prometheus(place: Place) -> str:
    """Scrape a target with a token of the token URL."""
    place.need("prometheus", "apt-get install prometheus")
    lines = block("yaml", page("recipes/prometheus.md"), having="token_url")
    key_file = place.write("keeper-key", place.key)
    for old, new in {
        "https://NAME.example": place.server.address,
        "connection=CONNECTION": "connection=default",
        "/etc/prometheus/keeper-key": str(key_file),
        "api.example": f"localhost:{place.ports['http']}",
        "scheme: https": "scheme: http\n    scrape_interval: 1s\n    scrape_timeout: 1s",
    }.items():
        assert old in lines
        lines = lines.replace(old, new)
    place.write("prometheus.yml", lines)
    with place.running("prometheus --config.file=prometheus.yml --web.listen-address=127.0.0.1:0"):
        wait_until(lambda: ("/metrics", 200) in place.site.seen)
    return "a scrape by the token URL"


def inventree(place: Place) -> str:
    """Find a part by the importer's supplier. The importer itself needs an InvenTree server."""
    settings = "currency: USD\nlanguage: en\nlocation: US\nscraping: false\n"
    place.write(".config/inventree_part_import/config.yaml", settings)
    script = place.write("supplier.py", _SUPPLIER)
    printed = _digikey(place, f"python {script}", "inventree-part-import")
    assert "LM358P 296-1395-5-ND 1" in printed, printed
    return "a part of the supplier Digi-Key"


def kintree(place: Place) -> str:
    """Find a part by Ki-nTree's own search, which its window calls."""
    python = os.environ.get("KINTREE_PYTHON", "")
    if not python:
        raise AbsentError("install kintree, python-dateutil and six, and set KINTREE_PYTHON")
    line = block("sh", page("recipes/ki-ntree.md"), having="--sink")
    command = line.replace("-- kintree", f"-- {python} {place.write('search.py', _KINTREE)}")
    (place.home / ".config/kintree/cache").mkdir(parents=True, exist_ok=True)
    client = {"DIGIKEY_CLIENT_ID": CLIENT_ID, "DIGIKEY_CLIENT_SECRET": "unused"}
    printed = _digikey(place, command, None, **client)
    assert printed.rstrip().endswith("LM358P 296-1395-5-ND"), printed[-500:]
    return "a part of its own search, which the window calls"


def digikey_mcp(place: Place) -> str:
    """Call a tool of the MCP server."""
    server = os.environ.get("DIGIKEY_MCP", "")
    if not server:
        raise AbsentError("clone it, and set DIGIKEY_MCP to its digikey_mcp_server.py")
    if find_spec("fastmcp") is None:
        raise AbsentError("run `.venv/bin/python -m pip install fastmcp`")
    script = place.write("call.py", _MCP_CALL)
    printed = _digikey(
        place, f"{sys.executable} {script}", None, DIGIKEY_MCP=server, CLIENT_ID=CLIENT_ID
    )
    assert printed.rstrip().endswith("True"), printed
    return "product_details"


def _digikey(place: Place, command: str, tool: str | None, **environ: str) -> str:
    """Run a tool of Digi-Key against a front, and return what it printed."""
    with digikey_front(place.server, place.home / "front") as front:
        key = {"OAUTH_CALLBACK_KEY": place.key}
        run: Run = start(command, tool, front, place.server, place.home, **environ, **key)
        printed = run.output()
    place.tokens.update(front.tokens)
    place.check(printed)
    assert run.process.returncode == 0, printed[-500:]
    assert front.statuses == {200}, front.seen
    return printed


def _forget(place: Place) -> None:
    place.mail.seen.clear()


CHECKS: Mapping[str, Check] = {
    "curl": curl,
    "git": git,
    "kubectl": kubectl,
    "rclone, command": rclone_webdav,
    "rclone, token URL": rclone_token_url,
    "msmtp": msmtp,
    "mbsync": mbsync,
    "mutt": mutt,
    "Prometheus": prometheus,
    "inventree-part-import": inventree,
    "Ki-nTree": kintree,
    "digikey_mcp": digikey_mcp,
}
TESTED = {
    "digikey-api": "by `make test`, over three lifetimes of a token",
    "KiCost": "by `make test`, over three lifetimes of a token",
    "Python's MCP client": "by `make test`",
    "GitHub Actions": "by `make test`: the action's script as a runner runs it",
}
NOT_HERE = {
    "Envoy": "no stand-in",
    "External Secrets": "needs a Kubernetes cluster",
    "n8n": "no stand-in",
    "Claude Code": "needs an account",
}
