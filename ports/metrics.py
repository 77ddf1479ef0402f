"""The port to a format of metrics: families of samples, and how they are written."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias


class MetricType(Enum):
    """The type of a family. The value is OpenMetrics' name."""

    GAUGE = "gauge"
    COUNTER = "counter"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One value. The labels can have any text. An info's value is 1."""

    labels: Mapping[str, str]
    value: float = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Samples of one name, whose labels have the same names.

    `name`: without the suffix of its type (`_total`, `_info`). `help`: one line. `unit`: the last
    part of the name, such as `seconds`.
    """

    name: str
    type: MetricType
    help: str
    unit: str = ""
    samples: Sequence[Sample] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsText:
    """Written families, and the media type of the format."""

    content_type: str
    text: bytes


MetricsWriter: TypeAlias = Callable[[Iterable[Family], bytes], MetricsText]
"""Writes families in the format that an `Accept` header asks for; without one, in OpenMetrics."""
