"""Commands about what destinations are owed; they work on the ledger, whether or not the service runs."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from tetraview.cli_ledger import open_ledger
from tetraview.domain.delivery import Delivery, DeliveryState
from tetraview.errors import SettingsInvalid
from tetraview.settings import load_settings
from tetraview.terminal import ConfigFile, console

ExamId = Annotated[str | None, typer.Argument(help="Identifier of an exam, as its page shows it.")]
DestinationName = Annotated[str | None, typer.Option("--destination", help="Only of this destination.")]
Everything = Annotated[bool, typer.Option("--all", help="Of every exam and destination.")]


def jobs(config: ConfigFile = None) -> None:
    """List the objects that wait for a destination, and those that one has refused."""
    with open_ledger(load_settings(config), config) as ledger:
        console.print(jobs_table(ledger.jobs()))


def requeue(
    exam: ExamId = None,
    destination: DestinationName = None,
    *,
    everything: Everything = False,
    config: ConfigFile = None,
) -> None:
    """Send again what was refused; a running service begins at once, another one when it starts."""
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


def jobs_table(deliveries: list[Delivery]) -> Table:
    """One row a delivery that waits or was refused."""
    refused = sum(delivery.state is DeliveryState.REFUSED for delivery in deliveries)
    table = Table(title=f"{len(deliveries) - refused} waiting, {refused} refused")
    for column in ("exam", "destination", "object", "state"):
        table.add_column(column, no_wrap=True)
    table.add_column("attempts", justify="right")
    table.add_column("last answer", overflow="fold")
    for delivery in deliveries:
        result = delivery.result
        table.add_row(
            f"{delivery.exam_id} {delivery.generation}",
            delivery.destination,
            f"{result.kind} {result.view}" if result.view else str(result.kind),
            delivery.state,
            str(delivery.attempts),
            delivery.detail,
        )
    return table
