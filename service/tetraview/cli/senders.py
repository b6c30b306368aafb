"""The command line's part about senders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from tetraview.cli.ledger import open_book
from tetraview.cli.terminal import ConfigFile, console
from tetraview.errors import SettingsInvalid
from tetraview.settings import Sender, load_settings

if TYPE_CHECKING:
    from tetraview.ledger import SenderBook

senders_app = typer.Typer(help="Who may send and who was not let in.", invoke_without_command=True)
SenderName = Annotated[str, typer.Argument(metavar="AE@ADDRESS", help="AE title and IP address, as they are shown.")]


@senders_app.callback()
def senders(context: typer.Context, config: ConfigFile = None) -> None:
    """Show the senders that are let in and those that were not."""
    if context.invoked_subcommand is not None:
        return
    settings = load_settings(config)
    with open_book(settings, config) as book:
        console.print(_allowed_table(book, settings.senders))
        console.print(_rejected_table(book))
        console.print(_heard_table(book))


@senders_app.command()
def allow(
    sender: SenderName,
    certificate: Annotated[str, typer.Option(help="Name in its certificate; without it, any that we trust.")] = "",
    config: ConfigFile = None,
) -> None:
    """Let a sender in, at once; a running service need not be told."""
    ae_title, address = _parts(sender)
    with open_book(load_settings(config), config, may_be_new=True) as book:
        book.allow(ae_title, address, certificate=certificate)
    console.print(f"{ae_title} may send from {address}", markup=False, highlight=False)


@senders_app.command()
def forget(sender: SenderName, config: ConfigFile = None) -> None:
    """Let a sender in no more, and strike it off those that were not let in."""
    ae_title, address = _parts(sender)
    with open_book(load_settings(config), config) as book:
        known = [book.withdraw(ae_title, address), book.forget(ae_title, address)]
    if not any(known):
        raise SettingsInvalid(f"no sender {sender} was allowed or turned away: `tetraview senders` shows all")
    console.print(f"{sender} is forgotten", markup=False, highlight=False)


def _parts(sender: str) -> tuple[str, str]:
    ae_title, _, address = sender.rpartition("@")
    return ae_title, address


def _allowed_table(book: SenderBook, from_settings: tuple[Sender, ...]) -> Table:
    table = Table("AE title", "addresses", "certificate", "since", title="let in", title_justify="left")
    for sender in from_settings:
        addresses = ", ".join(map(str, sender.addresses))
        table.add_row(escape(sender.ae_title), addresses, escape(sender.certificate or "any"), "settings")
    if not from_settings:
        table.add_row("*", "this machine", "any", escape("no [[senders]] in the settings"))
    for allowed in book.allowed_senders():
        certificate = escape(allowed.certificate or "any")
        table.add_row(escape(allowed.ae_title), allowed.address, certificate, f"{allowed.allowed_at:%F %T}")
    return table


def _rejected_table(book: SenderBook) -> Table:
    table = Table("AE title", "address", "called", "why", "times", "last", title="not let in", title_justify="left")
    for sender in book.rejected_senders():
        why = ": ".join(filter(None, (sender.reason.value.replace("_", " "), sender.detail)))
        titles = sender.calling_ae_title or "–", sender.address, sender.called_ae_title or "–"
        table.add_row(*map(escape, (*titles, why)), str(sender.count), f"{sender.last_at:%F %T}")
    return table


def _heard_table(book: SenderBook) -> Table:
    table = Table("AE title", "address", "last", title="called last", title_justify="left")
    for sender in book.heard_senders():
        table.add_row(escape(sender.ae_title), sender.address, f"{sender.last_at:%F %T}")
    return table
