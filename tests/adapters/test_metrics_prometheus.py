"""Metrics as text: the official parser reads back what was written, with any label."""

from collections.abc import Sequence
from string import ascii_lowercase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as plain_families

from adapters.metrics_prometheus import write_metrics
from ports.metrics import Family, MetricType, Sample
from tests.thorough import times

OPENMETRICS, PLAIN = b"application/openmetrics-text", b"text/plain"
HOSTILE = 'a"b\\c\nd{e="f"} 1\n# EOF\n#'

names = st.text(ascii_lowercase, min_size=1, max_size=8)
# Surrogates cannot be written as UTF-8, and no label of ours has one.
texts = st.text(st.characters(exclude_categories=["Cs"])) | st.just(HOSTILE)
families = st.builds(
    Family,
    name=names.map("test_{}".format),
    type=st.just(MetricType.GAUGE),
    help=texts,
    samples=st.lists(
        st.builds(
            Sample,
            labels=st.fixed_dictionaries({"connection": texts, "outcome": texts}),
            value=st.integers(0, 2**40) | st.booleans(),
        ),
        max_size=3,
        unique_by=lambda sample: frozenset(sample.labels.items()),
    ),
)


@given(written=st.lists(families, max_size=3, unique_by=lambda family: family.name))
@settings(max_examples=times(100))
def test_any_label_is_read_back_by_the_official_parser(written: Sequence[Family]) -> None:
    text = write_metrics(written, OPENMETRICS).text.decode()
    read = {family.name: family for family in text_string_to_metric_families(text)}
    assert read.keys() == {family.name for family in written}
    for family in written:
        found = [(each.labels, each.value) for each in read[family.name].samples]
        assert found == [(each.labels, each.value) for each in family.samples]
        assert read[family.name].documentation == family.help


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [(MetricType.GAUGE, ""), (MetricType.COUNTER, "_total"), (MetricType.INFO, "_info")],
)
def test_a_sample_has_the_suffix_of_its_type_in_both_formats(kind: MetricType, suffix: str) -> None:
    sample = Sample(labels={"connection": HOSTILE})
    family = Family(name="test", type=kind, help="A help text.", samples=[sample])
    for accept, parse in ((OPENMETRICS, text_string_to_metric_families), (PLAIN, plain_families)):
        [read] = parse(write_metrics([family], accept).text.decode())
        [found] = read.samples
        assert (found.name, found.labels) == (f"test{suffix}", {"connection": HOSTILE})


def test_a_unit_is_stated() -> None:
    family = Family(name="end_seconds", type=MetricType.GAUGE, help="Its end.", unit="seconds")
    assert b"# UNIT end_seconds seconds\n" in write_metrics([family], b"").text
