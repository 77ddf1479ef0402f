"""POST /test-alert: sends a test alert to each channel, and shows which ones took it."""

import asyncio
from html import escape

from functions.alerts.channel import Channel
from functions.alerts.message import AlertMessage
from functions.alerts.trial import trial_message, try_channel
from functions.endpoints.page.visit import Visit, signed_in
from functions.http.look import Tone, note, state_mark
from functions.http.messages import Response
from functions.http.pages import text_of
from functions.http.problems import problem


async def _send(visit: Visit) -> Response:
    if not visit.session.is_unrestricted:
        detail = "A test alert requires an API key without restrictions. Sign in with another key."
        raise problem("key-not-allowed", detail)
    wiring = visit.wiring
    message = trial_message(
        wiring.entropy.token(), wiring.clock.now(), source=wiring.settings.public_url
    )
    sent = await asyncio.gather(*(_try(channel, message) for channel in wiring.alerting.channels))
    rows = "".join(sent) or note(Tone.OVER, "No channel", text_of("ALERTS names the channels."))
    back = f'<p><a class="button" href="{escape(visit.url())}">Back</a></p>'
    return visit.page("Test alert", rows + back)


async def _try(channel: Channel, message: AlertMessage) -> str:
    reason = await try_channel(channel, message)
    tone, word = (Tone.GOOD, "Sent") if reason is None else (Tone.BAD, "Not sent")
    why = "" if reason is None else f"<p>{escape(reason)}</p>"
    name = f"<h2>{escape(channel.name)}</h2>"
    return f'<div class="card"><div class="head">{name}{state_mark(tone, word)}</div>{why}</div>'


send = signed_in(_send, is_form=True)
"""The endpoint."""
