from __future__ import annotations

import math
import random

import pytest
from tests.bench.capacity import erlang_c, mean_wait, queue, workers_for


@pytest.mark.parametrize(
    ("workers", "offered", "waits"), [(1, 0.5, 0.5), (2, 1.0, 1 / 3), (3, 2.0, 4 / 9), (10, 1.0, 0.0)]
)
def test_the_probability_of_waiting_is_erlangs(workers: int, offered: float, waits: float) -> None:
    """Erlang's C formula, at points that can be worked out by hand."""
    assert erlang_c(workers, offered) == pytest.approx(waits, abs=1e-6)


def test_one_worker_waits_as_pollaczek_and_khinchine_say() -> None:
    """With even service times the mean wait is half of that with exponential ones; beyond its rate it has no end."""
    even = mean_wait(1, rate=0.2, service=3.0, variation=0.0)
    assert even == pytest.approx(0.6 * 3.0 / (2 * 0.4))
    assert mean_wait(1, rate=0.2, service=3.0, variation=1.0) == pytest.approx(2 * even)
    assert math.isinf(mean_wait(1, rate=0.34, service=3.0, variation=0.0))


def test_the_recursion_agrees_with_the_formula() -> None:
    """Over many random arrivals the mean time of the recursion is that of the formula."""
    moments, now = [], 0.0
    arrivals = random.Random(1)
    for _ in range(200_000):
        now += arrivals.expovariate(0.2)
        moments.append(now)
    times = queue(moments, [3.0] * len(moments))
    assert sum(times) / len(times) == pytest.approx(3.0 + mean_wait(1, rate=0.2, service=3.0, variation=0.0), rel=0.03)


def test_a_plan_keeps_a_reserve_and_a_short_wait() -> None:
    """The plan has enough workers for the rate with a reserve, and one less would not do."""
    wanted = {"rate": 2.8, "service": 4.0, "variation": 0.3, "longest_wait": 30.0}
    assert workers_for(**wanted) == 16
    assert workers_for(**(wanted | {"longest_wait": 0.01})) > 16
    assert workers_for(**(wanted | {"rate": 0.001})) == 1
