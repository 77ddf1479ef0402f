"""The composition root of alerts: their parts, and the transports of channels, made on demand."""

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import cached_property
from typing import TYPE_CHECKING

from domain.grant import Grant, place_of
from functions.settings.clients import UnknownClientError
from functions.settings.settings import Settings, SettingsError
from ports.clock import Clock
from ports.entropy import Entropy
from ports.store import Store

if TYPE_CHECKING:
    # Imported where they are made.
    from email.message import EmailMessage

    from domain.alerts import Alert, AlertThresholds
    from functions.alerts.channel import Channel
    from functions.alerts.delivery import Delivery
    from functions.alerts.formats.webhook import Sign
    from functions.alerts.message import AlertMessage
    from functions.alerts.sweep_watch import SweepWatch
    from functions.login.links import LoginLinks
    from functions.refresh.alert_duty import AlertDuty
    from functions.refresh.sweep import SweepReport
    from functions.settings.alert_targets import (
        AppriseTarget,
        SesTarget,
        SmtpTarget,
        SnsTarget,
    )
    from functions.settings.alerts import AlertSettings
    from ports.alert_transport import PlainNote, Post, ProgramRun, TopicMessage, Transport

_log = logging.getLogger(__name__)


class AlertTransports:
    """The transports. Libraries are imported where a channel needs them."""

    def __init__(self, clock: Clock, to_close: AsyncExitStack) -> None:
        """`to_close` gets what is opened."""
        self.clock = clock
        self._to_close = to_close

    @cached_property
    def sign(self) -> "Sign":
        """Signs webhooks."""
        from adapters.webhook_signatures import sign

        return sign

    @cached_property
    def posts(self) -> "Transport[Post]":
        """Sends HTTP requests."""
        from adapters.alert_posts_httpx import HttpxPosts

        return HttpxPosts()

    @cached_property
    def programs(self) -> "Transport[ProgramRun]":
        """Runs programs."""
        from adapters.alert_programs import SubprocessPrograms

        return SubprocessPrograms()

    def mails(self, target: "SmtpTarget | SesTarget") -> "Transport[EmailMessage]":
        """Return what sends mails through a server."""
        from functions.settings.alert_targets import SesTarget

        if isinstance(target, SesTarget):
            from adapters.alert_mails_ses import SesMails

            ses = SesMails(region_name=target.region)
            self._to_close.callback(ses.close)
            return ses
        from adapters.alert_mails_smtp import SmtpMails

        return SmtpMails(
            target.host,
            target.port,
            starttls=target.starttls,
            username=target.username,
            password=target.password,
        )

    def topic(self, target: "SnsTarget") -> "Transport[TopicMessage]":
        """Return what publishes to a topic."""
        from adapters.alert_topic_sns import SnsTopic

        topic = SnsTopic(target.topic_arn, is_fifo=target.is_fifo, region_name=target.region)
        self._to_close.callback(topic.close)
        return topic

    def notes(self, target: "AppriseTarget") -> "Transport[PlainNote]":
        """Return what sends notes through Apprise."""
        from adapters.alert_notes_apprise import AppriseNotes

        return AppriseNotes(target.url)


class AlertWiring:
    """The parts of alerts for one event loop.

    A deployment without channels makes and imports few of them.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        links: "Callable[[], LoginLinks]",
        provider_of: Callable[[str], str],
        to_close: AsyncExitStack,
    ) -> None:
        """`provider_of` is the name of a connection's provider; `to_close` gets what is opened.

        It raises SettingsError, UnknownClientError.
        """
        self._settings = settings
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._links = links
        self._provider_of = provider_of
        self._to_close = to_close

    @cached_property
    def channels(self) -> "Sequence[Channel]":
        """The channels that alerts are sent to; none without ALERTS."""
        if self._given is None:
            return ()
        from functions.alerts.channels import channels_of

        transports = AlertTransports(self._clock, self._to_close)
        return tuple(channels_of(self._given, transports))

    @cached_property
    def thresholds(self) -> "AlertThresholds":
        """When time alone owes an alert."""
        if self._given is not None:
            return self._given.thresholds
        from domain.alerts import AlertThresholds

        return AlertThresholds()

    @cached_property
    def duty(self) -> "AlertDuty | None":
        """Adds alerts to each write of a record; None without channels.

        Raises SettingsError if no channel of the settings can be used: what is owed is kept.
        """
        if not self.channels:
            if self._is_configured:
                raise SettingsError(["no channel of ALERTS can be used"])
            return None
        from functions.alerts.recorded_delivery import RecordedDelivery
        from functions.refresh.alert_duty import AlertDuty

        recorded = RecordedDelivery(
            self.delivery, store=self._store, clock=self._clock, entropy=self._entropy
        )
        return AlertDuty(
            thresholds=self.thresholds,
            deliver=recorded.deliver,
            watch_sweep=self.sweep_watch.check_now_and_then,
        )

    @cached_property
    def delivery(self) -> "Delivery":
        """Delivers alerts to the channels."""
        from functions.alerts.delivery import Delivery

        return Delivery(
            channels=self.channels,
            compose=self._compose,
            clock=self._clock,
            give_up_after=self.thresholds.give_up_after,
        )

    @cached_property
    def sweep_watch(self) -> "SweepWatch":
        """Finds out whether the sweep is overdue."""
        from functions.alerts.sweep_watch import SweepWatch

        return SweepWatch(
            store=self._store,
            clock=self._clock,
            entropy=self._entropy,
            delivery=lambda: self.delivery,
            overdue_after=self.thresholds.sweep_overdue,
        )

    def unchecked_connections(self) -> "AsyncGenerator[Sequence[str], None]":
        """Yield the connections whose alerts were never evaluated with these thresholds."""
        from functions.alerts.first_walk import FirstWalk

        walk = FirstWalk(
            store=self._store,
            clock=self._clock,
            entropy=self._entropy,
            thresholds=self.thresholds,
        )
        return walk.pages()

    async def record_sweep(self, report: "SweepReport") -> None:
        """Store the end of a sweep, and the last delivery of each channel."""
        from functions.alerts.deployment import record_sweep

        await record_sweep(
            self._store,
            self._entropy,
            ended_at=self._clock.now(),
            outcome=report.outcome,
            deliveries=self.delivery.last_deliveries() if self.channels else {},
            has_channels=bool(self.channels) or self._is_configured,
        )
        if self.channels:
            await self.sweep_watch.check()

    @cached_property
    def _is_configured(self) -> bool:
        """Whether the settings have a channel, usable or not."""
        try:
            return self._settings.alerts() is not None
        except SettingsError:
            return True

    @cached_property
    def _given(self) -> "AlertSettings | None":
        try:
            return self._settings.alerts()
        except SettingsError as error:
            # A wrong channel costs no token.
            _log.error("alerts are off: %s", error)
            return None

    async def _compose(self, connection: str, grant: Grant, alert: "Alert") -> "AlertMessage":
        from functions.alerts.deployment import DEPLOYMENT
        from functions.alerts.message import AlertMessage, has_link

        is_own = connection == DEPLOYMENT
        offer = None
        if has_link(alert):
            offer = await self._links().offer(
                connection, may_log_in=True, read=place_of(grant), renews=True
            )
        return AlertMessage(
            alert=alert,
            connection=None if is_own else connection,
            provider=None if is_own else self._provider_title(connection),
            link=None if offer is None else offer.link,
            source=self._settings.public_url,
        )

    def _provider_title(self, connection: str) -> str | None:
        from functions.settings.presets import title

        with suppress(SettingsError, UnknownClientError):
            return title(self._provider_of(connection))
        return None
