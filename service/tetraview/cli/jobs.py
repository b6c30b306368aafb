"""Commands about what destinations are owed; they work on the ledger, whether or not the service runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from tetraview.cli.ledger import open_ledger
from tetraview.cli.terminal import ConfigFile, console
from tetraview.domain.delivery import Delivery, DeliveryState
from tetraview.errors import SettingsInvalid
from tetraview.settings import load_settings

ExamId = Annotated[str | None, typer.Argument(help="Identifier of an exam, as its page shows it.")]
DestinationName = Annotated[str | None, typer.Option("--destination", help="Only of this destination.")]
Everything = Annotated[bool, typer.Option("--all", help="Of every exam and destination.")]

_COLUMNS = ("exam, reading", "to", "object", "state, tries", "last answer")


def jobs(config: ConfigFile = None) -> None:
    """List the objects that wait for a destination, and those that one has refused."""
    with open_ledger(load_settings(config), config) as ledger:
        owed = ledger.jobs()
    if console.is_terminal:
        console.print(jobs_table(owed))
        return
    for line in _lines(owed):
        typer.echo(line)


def requeue(
    exam: ExamId = None,
    destination: DestinationName = None,
    *,
    everything: Everything = False,
    config: ConfigFile = None,
) -> None:
    """Send refused objects again; a running service begins at once, a stopped one when it starts."""
    if exam is None and destination is None and not everything:
        raise typer.BadParameter("name an exam, a --destination, or --all")
    settings = load_settings(config)
    with open_ledger(settings, config) as ledger:
        if exam is not None and ledger.exam(exam) is None:
            raise SettingsInvalid(
                f"no exam is called {exam}: `tetraview jobs` lists those with something to send again"
            )
        if destination is not None and destination not in {job.destination for job in ledger.jobs()}:
            settings.destination(destination)
        count = ledger.requeue(exam_id=exam, destination=destination)
    console.print(f"{count} object{'' if count == 1 else 's'} queued again")


def jobs_table(deliveries: Sequence[Delivery]) -> Table:
    """One row a delivery that waits or was refused, for a terminal of 80 columns."""
    table = Table(title=_summary(deliveries), box=None, pad_edge=False, title_justify="left")
    for column in _COLUMNS[:-1]:
        table.add_column(column, no_wrap=True)
    table.add_column(_COLUMNS[-1])
    for delivery in deliveries:
        table.add_row(*map(escape, _cells(delivery)))
    return table


def _lines(deliveries: Sequence[Delivery]) -> Iterator[str]:
    """The same for a pipe: one line a delivery whatever its length, a tab between the columns."""
    yield _summary(deliveries)
    yield "\t".join(_COLUMNS)
    yield from ("\t".join(_cells(delivery)) for delivery in deliveries)


def _summary(deliveries: Sequence[Delivery]) -> str:
    refused = sum(delivery.state is DeliveryState.REFUSED for delivery in deliveries)
    return f"{len(deliveries) - refused} waiting, {refused} refused"


def _cells(delivery: Delivery) -> tuple[str, ...]:
    result = delivery.result
    return (
        f"{delivery.exam_id} {delivery.generation}",
        delivery.destination,
        f"{result.kind} {result.view}" if result.view else str(result.kind),
        f"{delivery.state} {delivery.attempts}×" if delivery.attempts else str(delivery.state),
        delivery.detail,
    )
