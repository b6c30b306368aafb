"""The cost of one exam, a model of the queue built on it, and how far a measured run is from the model.

1. Exams of native size are sent one by one, each after the last has ended: processor time of listener, worker and
   Triton, bytes and transactions an exam, and how long a worker has it (its service time).
2. At two loads exams are sent at random moments (Poisson). The model says how long each should have taken: exams wait
   for one worker in the order of their coming (Lindley's recursion over the very same moments, with service times drawn
   from the first part). Its answers are compared with the measured times.
3. The first part and Erlang's formula tell how many machines 100 and 10,000 exams an hour need.

    usage: python -m tests.bench.capacity [--alone 10] [--loaded 40] [--out FILE]
"""

from __future__ import annotations

import argparse
import math
import os
import random
import statistics
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from tests.support.fleet import Fleet, measured_fleet

from tetraview.ledger import ExamSummary
from tetraview.phantom import DEMO_SEED, RECIPES, generate
from tetraview.phantom.dicom import write_exam
from tetraview.tools.load import SentExam, read_exam, send_exam, send_load

_END_SECONDS = 900.0
#: Seconds that an exam waits after its last image, by the fleet's settings.
QUIET_SECONDS = 2.0
#: Shares of a worker's time that the two loads ask for.
_LOADS = (0.5, 0.8)
#: Share of the workers' time that a plan uses at most: the rest is for peaks, and for one that is away.
_PLANNED_SHARE = 0.7
_TICKS = os.sysconf("SC_CLK_TCK")


# The model


def erlang_c(workers: int, offered: float) -> float:
    """The probability that an exam has to wait: M/M/c, by the recursion of Erlang's B formula.

    Args:
        workers: how many there are.
        offered: arrivals an hour times hours of service, below the number of workers.
    """
    blocked = 1.0
    for number in range(1, workers + 1):
        blocked = offered * blocked / (number + offered * blocked)
    return blocked / (1 - offered / workers * (1 - blocked))


def mean_wait(workers: int, *, rate: float, service: float, variation: float) -> float:
    """Mean seconds in the queue of M/G/c, after Lee and Longton's approximation; exact for one worker.

    Args:
        workers: how many there are.
        rate: exams a second.
        service: mean seconds of a worker for an exam.
        variation: standard deviation of that time over its mean.
    """
    offered = rate * service
    if offered >= workers:
        return math.inf
    return erlang_c(workers, offered) * service / (workers - offered) * (1 + variation**2) / 2


def workers_for(*, rate: float, service: float, variation: float, longest_wait: float) -> int:
    """The fewest workers that keep a reserve and the mean wait below a bound."""
    workers = max(1, math.ceil(rate * service / _PLANNED_SHARE))
    while mean_wait(workers, rate=rate, service=service, variation=variation) > longest_wait:
        workers += 1
    return workers


def queue(moments: Sequence[float], services: Sequence[float]) -> list[float]:
    """Seconds from each arrival to the end of its service by one worker, first come, first served (Lindley)."""
    free, times = -math.inf, []
    for moment, service in zip(moments, services, strict=True):
        free = max(moment, free) + service
        times.append(free - moment)
    return times


# The measurement


@dataclass(frozen=True, kw_only=True)
class Costs:
    """The cost of one exam."""

    listener_cpu: float
    worker_cpu: float
    triton_cpu: float
    transactions: float
    bytes_in: float
    bytes_out: float
    #: Seconds that a worker has each exam: from its first step to the last object owed to a destination.
    services: tuple[float, ...]
    #: Seconds from the end of that to the last delivery, and from when an exam is due until a worker begins it.
    around: float

    @property
    def service(self) -> float:
        """Mean service time in seconds."""
        return statistics.mean(self.services)

    @property
    def variation(self) -> float:
        """Standard deviation of the service time over its mean."""
        return statistics.pstdev(self.services) / self.service


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A load, and how long exams took: measured, and by the model."""

    share: float
    rate: float
    measured: tuple[float, ...]
    modelled: tuple[float, ...]


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and of all its children, including those that have ended."""
    total = 0.0
    for process in _tree(pid):
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue
        total += sum(map(int, fields[11:15])) / _TICKS
    return total


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except FileNotFoundError:
            continue
        for child in children:
            yield from _tree(int(child))


def measure_costs(fleet: Fleet, triton_pid: int, store: Callable[[], SentExam], *, exams: int) -> Costs:
    """Send exams one by one; the first warms everything up and does not count."""
    listener, worker = fleet.listeners[0], fleet.workers[0]
    assert listener.process is not None
    assert worker.process is not None
    pids = (listener.process.pid, worker.process.pid, triton_pid)
    fleet.await_ends([store()], seconds=_END_SECONDS)
    before, transactions = [cpu_seconds(pid) for pid in pids], _transactions(fleet.database_url)
    sent: list[SentExam] = []
    ended: dict[str, ExamSummary] = {}
    for _ in range(exams):
        sent.append(store())
        ended |= fleet.await_ends(sent[-1:], seconds=_END_SECONDS)
    listener_cpu, worker_cpu, triton_cpu = (
        (cpu_seconds(pid) - first) / exams for pid, first in zip(pids, before, strict=True)
    )
    services = tuple(sum(_worked(exam)) for exam in ended.values())
    times = [_time_to_result(exam) for exam in ended.values()]
    return Costs(
        listener_cpu=listener_cpu,
        worker_cpu=worker_cpu,
        triton_cpu=triton_cpu,
        transactions=(_transactions(fleet.database_url) - transactions) / exams,
        bytes_in=statistics.mean(exam.bytes for exam in sent),
        bytes_out=statistics.mean(_result_bytes(fleet, exam) for exam in ended.values()),
        services=services,
        around=statistics.mean(times) - QUIET_SECONDS - statistics.mean(services),
    )


def measure_load(fleet: Fleet, exam: Sequence[object], costs: Costs, *, share: float, exams: int, seed: int) -> Loaded:
    """Send exams at random moments and ask the model about the same moments."""
    rate = share / costs.service
    sent = list(
        send_load(
            [exam],  # type: ignore[list-item]
            fleet.store,
            rate=3600 * rate,
            count=exams,
            senders=8,
            seed=seed,
            stop=threading.Event(),
        )
    )
    ended = sorted(fleet.await_ends(sent, seconds=_END_SECONDS).values(), key=lambda summary: summary.last_image_at)
    moments = [summary.last_image_at.timestamp() for summary in ended]
    drawn = random.Random(seed).choices(costs.services, k=len(moments))
    return Loaded(
        share=share,
        rate=3600 * rate,
        measured=tuple(map(_time_to_result, ended)),
        modelled=tuple(QUIET_SECONDS + costs.around + seconds for seconds in queue(moments, drawn)),
    )


def _worked(exam: ExamSummary) -> Iterator[float]:
    return (seconds for stage, seconds in exam.stage_seconds.items() if stage != "deliver")


def _time_to_result(exam: ExamSummary) -> float:
    return (exam.updated_at - exam.last_image_at).total_seconds()


def _result_bytes(fleet: Fleet, exam: ExamSummary) -> int:
    folder = fleet.folder / "data/results" / exam.exam_id
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _transactions(database_url: str) -> int:
    engine = sa.create_engine(database_url)
    query = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
    with engine.connect() as connection:
        commits = int(connection.exec_driver_sql(query).scalar_one())
    engine.dispose()
    return commits


# The report


def cost_rows(costs: Costs) -> Iterator[tuple[str, str]]:
    """The cost of one exam, for a table."""
    yield "processor seconds of the listener", f"{costs.listener_cpu:.2f}"
    yield "processor seconds of the worker, decoding included", f"{costs.worker_cpu:.2f}"
    yield "processor seconds of Triton, shipped weights", f"{costs.triton_cpu:.2f}"
    yield (
        "seconds that a worker has an exam, alone on the machine",
        f"{costs.service:.2f} (variation {costs.variation:.2f})",
    )
    yield "seconds for queues and delivery", f"{costs.around:.2f}"
    yield "transactions of the databases", f"{costs.transactions:.0f}"
    yield "MB received", f"{costs.bytes_in / 1e6:.0f}"
    yield "MB of results and previews kept", f"{costs.bytes_out / 1e6:.1f}"


def plan_rows(costs: Costs, *, rate: float) -> Iterator[tuple[str, str]]:
    """The resources that a number of exams an hour needs, for a table."""
    second = rate / 3600
    workers = workers_for(rate=second, service=costs.service, variation=costs.variation, longest_wait=30.0)
    wait = mean_wait(workers, rate=second, service=costs.service, variation=costs.variation)
    cores = {
        "listeners": second * costs.listener_cpu,
        "workers": second * costs.worker_cpu,
        "Triton without a GPU": second * costs.triton_cpu,
    }
    yield "workers, each reading one exam at a time", str(workers)
    yield "mean wait for a worker, seconds", f"{wait:.1f}"
    for name, busy in cores.items():
        yield f"cores of {name}, at {_PLANNED_SHARE:.0%} use", f"{max(1, math.ceil(busy / _PLANNED_SHARE))}"
    yield "transactions a second", f"{second * costs.transactions:.0f}"
    yield "MB a second received", f"{second * costs.bytes_in / 1e6:.1f}"
    yield "GB a day of ten hours kept", f"{10 * rate * (costs.bytes_in + costs.bytes_out) / 1e9:.0f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _load_row(loaded: Loaded) -> list[str]:
    measured, modelled = statistics.mean(loaded.measured), statistics.mean(loaded.modelled)
    last = [sorted(times)[int(0.9 * len(times))] for times in (loaded.measured, loaded.modelled)]
    return [
        f"{loaded.rate:.0f}",
        f"{loaded.share:.0%}",
        f"{measured:.1f}",
        f"{modelled:.1f}",
        f"{measured / modelled:.2f}",
        f"{last[0]:.1f}",
        f"{last[1]:.1f}",
        f"{last[0] / last[1]:.2f}",
    ]


def report(costs: Costs, loads: Sequence[Loaded]) -> str:
    """All tables, Markdown."""
    plans = [list(plan_rows(costs, rate=rate)) for rate in (100.0, 10_000.0)]
    planned = [[name, value, other] for (name, value), (_, other) in zip(*plans, strict=True)]
    head = ["exams an hour", "share of the worker's time", "mean seconds to results", "model", "ratio"]
    return "\n\n".join(
        [
            f"### One exam, alone ({len(costs.services)} exams)",
            _table(["", "measured"], [list(row) for row in cost_rows(costs)]),
            f"### One worker under load ({len(loads[0].measured)} exams each)",
            _table([*head, "ninth decile", "model", "ratio"], [_load_row(loaded) for loaded in loads]),
            "### Planned",
            _table(["", "100 exams an hour", "10,000 exams an hour"], planned),
        ]
    )


def run(folder: Path, *, alone: int, loaded: int) -> str:
    """Measure, and return the report."""
    write_exam(generate(DEMO_SEED, recipe=RECIPES["native"]), folder / "exam")
    exam = read_exam(folder / "exam")
    with measured_fleet(folder, listeners=1, workers=1) as (fleet, triton):
        costs = measure_costs(fleet, triton.pid, lambda: send_exam(exam, fleet.store), exams=alone)
        loads = [
            measure_load(fleet, exam, costs, share=share, exams=loaded, seed=number)
            for number, share in enumerate(_LOADS, start=1)
        ]
    return report(costs, loads)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alone", type=int, default=10)
    parser.add_argument("--loaded", type=int, default=40)
    parser.add_argument("--out", type=Path, help="file for the tables, Markdown")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tetraview-capacity-") as name:
        text = run(Path(name), alone=chosen.alone, loaded=chosen.loaded)
    sys.stdout.write(f"{text}\n")
    if chosen.out:
        chosen.out.write_text(f"{text}\n")


if __name__ == "__main__":
    main()
