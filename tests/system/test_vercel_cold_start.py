"""The means to measure cold starts measure what they should."""

import httpx

from tests.system.loopback import http
from tests.system.vercel_artifact import require_builder
from tests.system.vercel_cold_start import cpu_seconds_to_first_answer, ok_function
from tests.system.vercel_runtime import function_process


def test_processor_time_of_a_function_is_that_of_its_process() -> None:
    require_builder()
    with function_process(ok_function(), {}) as process:
        started = process.cpu_seconds()
        answers = [http.get(f"{process.address}/{number}") for number in range(20)]
        assert {(answer.status_code, answer.text) for answer in answers} == {(httpx.codes.OK, "ok")}
        assert 0 < started < process.cpu_seconds()


def test_first_answer_costs_more_than_nothing() -> None:
    require_builder()
    assert cpu_seconds_to_first_answer(ok_function(), {}) > 0
