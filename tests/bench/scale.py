"""Two listeners and two workers on one PostgreSQL under load, while one of each is killed and the version is rolled.

Real PostgreSQL, Orthanc and Triton with the shipped models. Exams come at random moments and are sent as through a load
balancer: an image that is not answered with success is sent again, perhaps to the other listener. Meanwhile

1. a listener is killed (SIGKILL) and started again,
2. a worker is killed while it reads, and is started again only after the other has taken over,
3. a worker is frozen (SIGSTOP) for so long that the other takes over, and then goes on as if nothing had been,
4. PostgreSQL is frozen for as long, in the second half of the rounds,
5. all four are replaced one after the other, from the older version to the newer.

Then senders' notes, ledger, spool and PACS are compared.

    usage: python -m tests.bench.scale [--exams 60] [--rate 600] [--rounds 2] [--old COMMIT] [--out deploy/SCALE.md]
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.fleet import ROOT, Fleet, Replica, Tally, measured_fleet, tally
from tests.support.postgresql import postgresql_processes

from tetraview.ledger import ExamSummary
from tetraview.phantom import DEMO_SEED, RECIPES, generate
from tetraview.phantom.dicom import write_exam
from tetraview.tools.load import SentExam, read_exam, send_load

_TITLE = "# Two listeners and two workers under load, killed, frozen and replaced"
#: Longest time from sending the last exam until every exam has ended.
_END_SECONDS = 900.0


@dataclass(kw_only=True)
class Trouble:
    """The kills, freezes and restarts of the services during a run."""

    fleet: Fleet
    #: The checkout that replaces the one that the services start with.
    newer: Path
    rounds: int
    seed: int
    kills: int = 0
    frozen: int = 0
    databases_frozen: int = 0
    rolled: int = 0
    #: How each service ended that was asked to stop, and how long it took.
    stops: list[tuple[int, float]] = field(default_factory=list)
    fault: BaseException | None = None

    def make(self) -> None:
        """Make all the trouble, step by step."""
        moments = random.Random(self.seed)
        try:
            for number in range(self.rounds):
                self._kill(moments.choice(self.fleet.listeners), away_seconds=moments.uniform(0, 5))
                self._kill(moments.choice(self.fleet.workers), away_seconds=moments.uniform(35, 45))
                self._freeze(moments.choice(self.fleet.workers), seconds=moments.uniform(40, 50))
                if number >= self.rounds // 2:
                    self._freeze_database(seconds=moments.uniform(40, 50))
            for replica in self.fleet.replicas.values():
                self._roll(replica)
        except BaseException as fault:
            self.fault = fault
            raise

    def _kill(self, replica: Replica, *, away_seconds: float) -> None:
        time.sleep(5.0)
        replica.end(signal.SIGKILL)
        self.kills += 1
        time.sleep(away_seconds)
        replica.start()

    def _freeze(self, replica: Replica, *, seconds: float) -> None:
        time.sleep(5.0)
        assert replica.process is not None
        replica.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        replica.process.send_signal(signal.SIGCONT)
        self.frozen += 1

    def _freeze_database(self, *, seconds: float) -> None:
        time.sleep(5.0)
        server = postgresql_processes(self.fleet.database_url)
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for process in server:
                with suppress(ProcessLookupError):
                    os.kill(process, number)
            if number is signal.SIGSTOP:
                time.sleep(seconds)
        self.databases_frozen += 1

    def _roll(self, replica: Replica) -> None:
        began = time.monotonic()
        self.stops.append((replica.end(), time.monotonic() - began))
        replica.code = self.newer
        replica.start()
        self.rolled += 1


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A run."""

    tally: Tally
    trouble: Trouble
    sent: Sequence[SentExam]
    seconds: float
    #: From an exam's last image until its end, sorted.
    times: Sequence[float]
    taken_over: int
    versions: tuple[str, str]

    @property
    def is_clean(self) -> bool:
        """Whether no object was lost and none is there twice."""
        found = self.tally
        faults = (found.images_lost, found.exams_lost, found.results_lost, found.duplicates, found.changed, found.owed)
        return not any(faults)

    def rows(self) -> Iterator[tuple[str, str]]:
        """The table."""
        found, stops = self.tally, self.trouble.stops
        yield "exams sent", str(found.exams)
        yield "images acknowledged", str(found.images_acknowledged)
        yield "**images lost**", str(len(found.images_lost))
        yield "**exams without delivered results**", str(len(found.exams_lost))
        yield "result objects in the PACS", str(found.results)
        yield "**result objects lost**", str(len(found.results_lost))
        yield "**duplicates**", str(len(found.duplicates))
        yield "**result objects that differ from ours**", str(len(found.changed))
        yield "**objects still owed at the end**", str(sum(found.owed.values()))
        yield "exams read again since an image came late", str(found.later_generations)
        yield "images never answered with success", str(sum(len(exam.faults) for exam in self.sent))
        yield "kills (SIGKILL)", str(self.trouble.kills)
        yield "workers frozen for 40 to 50 seconds", str(self.trouble.frozen)
        yield "times that PostgreSQL was frozen for as long", str(self.trouble.databases_frozen)
        yield "times that a worker took over from a service that was killed or had stopped", str(self.taken_over)
        yield (
            "services replaced by another version",
            f"{self.trouble.rolled} ({self.versions[0]} to {self.versions[1]})",
        )
        yield "stops with exit status 0", f"{sum(status == 0 for status, _ in stops)} of {len(stops)}"
        yield "longest stop, seconds", f"{max(seconds for _, seconds in stops):.1f}"
        middle, last = self.times[len(self.times) // 2], self.times[-1]
        yield "seconds from last image to last delivery, median and longest", f"{middle:.0f}, {last:.0f}"
        yield "duration, seconds", f"{self.seconds:.0f}"


def run(folder: Path, *, exams: int, rate: float, rounds: int, older: Path, newer: Path, seed: int) -> Outcome:
    """One run in a folder."""
    write_exam(generate(DEMO_SEED, recipe=RECIPES["training"]), folder / "exam")
    with measured_fleet(folder, code=older) as (fleet, _):
        trouble = Trouble(fleet=fleet, newer=newer, rounds=rounds, seed=seed)
        maker, began = threading.Thread(target=trouble.make), time.monotonic()
        maker.start()
        load = send_load(
            [read_exam(folder / "exam")],
            fleet.store,
            rate=rate,
            count=exams,
            senders=8,
            seed=seed,
            stop=threading.Event(),
        )
        sent = list(load)
        maker.join()
        if trouble.fault:
            raise trouble.fault
        ended = fleet.await_ends(sent, seconds=_END_SECONDS)
        seconds = time.monotonic() - began
        return Outcome(
            tally=tally(fleet, sent, ended),
            trouble=trouble,
            sent=sent,
            seconds=seconds,
            times=sorted(map(_time_to_result, ended.values())),
            taken_over=sum(len(worker.events("service_taken_over")) for worker in fleet.workers),
            versions=(_commit(older), _commit(newer)),
        )


def _time_to_result(exam: ExamSummary) -> float:
    return (exam.updated_at - exam.last_image_at).total_seconds()


def _commit(checkout: Path) -> str:
    return _git("-C", str(checkout), "describe", "--always", "--dirty")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True, cwd=ROOT).stdout.strip()


@contextmanager
def _checkout(commit: str, folder: Path) -> Iterator[Path]:
    """The code of an earlier commit in a checkout of its own."""
    _git("worktree", "add", "--detach", str(folder), commit)
    try:
        yield folder
    finally:
        _git("worktree", "remove", "--force", str(folder))


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exams", type=int, default=60)
    parser.add_argument("--rate", type=float, default=600.0, help="exams an hour on average")
    parser.add_argument("--rounds", type=int, default=2, help="how often one of each is killed")
    parser.add_argument("--old", default="HEAD", help="commit of the older version")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="file for the table, Markdown")
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="tetraview-scale-") as name,
        _checkout(chosen.old, Path(name) / "old") as old,
    ):
        outcome = run(
            Path(name),
            exams=chosen.exams,
            rate=chosen.rate,
            rounds=chosen.rounds,
            older=old,
            newer=ROOT,
            seed=chosen.seed,
        )
    rows = [("", "measured"), ("---", "---"), *outcome.rows()]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    command = f"python -m tests.bench.scale {' '.join(sys.argv[1:])}".strip()
    text = f"{_TITLE}\n\nMade by `{command}`: services, PostgreSQL, Orthanc and Triton on one machine.\n\n{table}\n"
    sys.stdout.write(text)
    if chosen.out:
        chosen.out.write_text(text)
    raise SystemExit(0 if outcome.is_clean else 1)


if __name__ == "__main__":
    main()
