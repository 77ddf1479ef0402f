"""Metrics in OpenMetrics, or in the older text format of Prometheus, by `prometheus_client`."""

from collections.abc import Iterable

from prometheus_client import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.exposition import generate_latest as write_plain
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST
from prometheus_client.openmetrics.exposition import generate_latest as write_openmetrics
from prometheus_client.registry import Collector

from ports.metrics import Family, MetricsText, MetricType

_OPENMETRICS = b"application/openmetrics-text"
_PLAIN = b"text/plain"
_SUFFIXES = {MetricType.GAUGE: "", MetricType.COUNTER: "_total", MetricType.INFO: "_info"}


class _Families(Collector):
    """The families, as the library collects them."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Yield each family."""
        return map(_metric, self._families)


def write_metrics(families: Iterable[Family], accept: bytes) -> MetricsText:
    """Write the families; see `ports.metrics.MetricsWriter`."""
    collector = _Families(families)
    if _PLAIN in accept and _OPENMETRICS not in accept:
        return MetricsText(content_type=CONTENT_TYPE_PLAIN_0_0_4, text=write_plain(collector))
    text: bytes = write_openmetrics(collector)
    return MetricsText(content_type=CONTENT_TYPE_LATEST, text=text)


def _metric(family: Family) -> Metric:
    metric = Metric(family.name, family.help, family.type.value, family.unit)
    for sample in family.samples:
        name = f"{family.name}{_SUFFIXES[family.type]}"
        metric.add_sample(name, dict(sample.labels), sample.value)
    return metric
