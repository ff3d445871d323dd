"""The commands and their options; what a command does is imported when it runs."""

import atexit
import importlib.metadata
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from meshbridge.cli.ending import drop_unread_lines, faults_in_lines, open_missing_streams, say
from meshbridge.cli.options import USUAL_ADMIN, Admin

# ruff: noqa: PLC0415 - `meshbridge --help` must not wait for what only one command needs


def _duration(text: str) -> timedelta:
    from meshbridge.settings.values import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(f'"{text}" {error}') from None


Configuration = Annotated[
    Path,
    typer.Option("--config", "-c", metavar="FILE", help="The configuration, a YAML file."),
]
Wait = Annotated[
    timedelta,
    typer.Option(
        "--wait",
        parser=_duration,
        metavar="DURATION",
        help="How long to wait for the registries, like 500ms or 1m.",
        show_default="10s",
    ),
]
_USUAL_WAIT = timedelta(seconds=10)


def main() -> None:
    """Run the command that the arguments name, and exit with its code."""
    open_missing_streams()
    atexit.register(drop_unread_lines)
    try:
        command_line()(prog_name="meshbridge")
    except Exception as error:
        error.add_note(
            "This is a fault of meshbridge or of a plug-in, not of your configuration. "
            "Please report it with all these lines."
        )
        raise


def command_line() -> typer.Typer:
    """Return all commands.

    Frames and colours are for people who look at a terminal; a pipe gets plain text.
    """
    from meshbridge.cli.demo import demo

    app = typer.Typer(
        help="Bridges service registries into an Istio or Envoy mesh.",
        epilog="Start with:  meshbridge check -c meshbridge.yaml",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich" if sys.stdout.isatty() else None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    app.command(epilog="Example:  meshbridge run -c meshbridge.yaml")(run)
    app.command(epilog="Example:  meshbridge check -c meshbridge.yaml --offline")(check)
    app.command(epilog="Example:  meshbridge dump -c meshbridge.yaml --format istio")(dump)
    app.command(
        epilog="Example:  meshbridge diff meshbridge.yaml http://127.0.0.1:15014",
        no_args_is_help=True,
    )(diff)
    app.command(epilog="Example:  meshbridge explain orders.nacos")(explain)
    app.command(epilog="Example:  meshbridge release shop --for 2h")(release)
    app.command(epilog="Example:  meshbridge reload --accept-loss")(reload)
    app.command(epilog="Example:  meshbridge adapters")(adapters)
    app.command(epilog="Example:  meshbridge demo --keep")(demo)
    return app


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the option's value
    if wanted:
        say(f"meshbridge {importlib.metadata.version('meshbridge')}")
        raise typer.Exit


def _root(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


AcceptLoss = Annotated[
    bool,
    typer.Option(
        "--accept-loss",
        help="Go on although the file takes away more than max-loss of what was served.",
    ),
]


def run(config: Configuration, *, accept_loss: AcceptLoss = False) -> None:
    """Run the bridge until SIGTERM or Ctrl-C.

    SIGHUP, or a change of the file, lets it read its configuration again.
    """
    from meshbridge.cli.run import run_bridge

    with faults_in_lines():
        run_bridge(config, accept_loss=accept_loss)


def reload(admin: Admin = USUAL_ADMIN, *, accept_loss: AcceptLoss = False) -> None:
    """Let a running bridge read its configuration again.

    Says what changed. Exit code 0: it is in force; 1: it takes away too much and is refused, or no
    bridge answers; 2: it is wrong.
    """
    from meshbridge.cli.reload import reload_bridges

    sys.exit(reload_bridges(admin, accept_loss=accept_loss))


def check(
    config: Configuration,
    wait: Wait = _USUAL_WAIT,
    *,
    offline: Annotated[
        bool, typer.Option("--offline", help="Only validate the file; try no registry.")
    ] = False,
) -> None:
    """Validate the configuration and try each registry.

    Says what each of them holds. Exit code 0: all is well; 1: a registry cannot be read.
    """
    from meshbridge.cli.check import check_configuration

    with faults_in_lines():
        sys.exit(check_configuration(config, wait, offline=offline))


def dump(
    config: Configuration,
    form: Annotated[
        str, typer.Option("--format", "-f", metavar="table|istio|envoy|json", help="How to print.")
    ] = "table",
    service: Annotated[
        str,
        typer.Option("--service", "-s", metavar="PATTERN", help="Only hosts that match, like a*."),
    ] = "*",
    wait: Wait = _USUAL_WAIT,
) -> None:
    """Read every registry once and print the result.

    That is what would be served; problems go to stderr. istio is YAML for kubectl apply.
    """
    from meshbridge.cli.dump import dump_services

    with faults_in_lines():
        sys.exit(dump_services(config, form, service, wait))


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A file, a URL or -, as above.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Likewise.")],
    form: Annotated[
        str, typer.Option("--format", "-f", metavar="text|json", help="How to print.")
    ] = "text",
    service: Annotated[
        str,
        typer.Option("--service", "-s", metavar="PATTERN", help="Only hosts that match, like a*."),
    ] = "*",
    limit: Annotated[
        int, typer.Option(min=1, help="How many hosts, and lines of each; json has all.")
    ] = 50,
    wait: Annotated[
        timedelta,
        typer.Option(
            "--wait",
            parser=_duration,
            metavar="DURATION",
            help="How long to wait for each side, like 500ms or 1m.",
            show_default="10s",
        ),
    ] = _USUAL_WAIT,
) -> None:
    """Say in what two places that hold services differ.

    A and B are each one of these, told apart by how they are written:

    http://HOST:PORT is the status server of a running bridge.

    istiod+http://HOST:PORT, or a URL that ends in /debug/configz, is the debug port of an istiod.

    FILE that begins with "[" is what "dump --format json" or /debug/configz gave; - is stdin.

    Any other FILE is a configuration, of which each registry is read once.

    Exit code 0: they hold the same; 1: they differ; 2: they could not be compared.
    """
    from meshbridge.cli.diff import diff_sources

    with faults_in_lines():
        sys.exit(diff_sources(a, b, form=form, pattern=service, limit=limit, wait=wait))


def explain(
    what: Annotated[
        str,
        typer.Argument(
            metavar="HOST|IP:PORT|NAME", help="A host, an address, or a registry's own name."
        ),
    ],
    admin: Admin = USUAL_ADMIN,
    form: Annotated[
        str, typer.Option("--format", "-f", metavar="text|json", help="How to print.")
    ] = "text",
) -> None:
    """Say why something is, or is not, served.

    Asks a running bridge at which stage it is, from the registry to the subscribers. Exit code 0:
    it is served; 1: it is not, and the first line says where it was lost, or no bridge answers.
    """
    from meshbridge.cli.explain import explain_name

    sys.exit(explain_name(admin, what, form))


def release(
    registry: Annotated[
        str | None, typer.Argument(metavar="REGISTRY", help="Lets go of what is held of it.")
    ] = None,
    scope: Annotated[
        str | None, typer.Argument(metavar="SCOPE", help="Only of this scope of it.")
    ] = None,
    service: Annotated[
        str | None, typer.Argument(metavar="SERVICE", help="Only of this service of that.")
    ] = None,
    planned: Annotated[
        timedelta | None,
        typer.Option(
            "--for",
            parser=_duration,
            metavar="DURATION",
            help="A planned loss: what vanishes within it passes at once, too.",
        ),
    ] = None,
    admin: Admin = USUAL_ADMIN,
    form: Annotated[
        str, typer.Option("--format", "-f", metavar="text|json", help="How to print.")
    ] = "text",
) -> None:
    """List what the guard holds, or let it go.

    What a registry no longer lists, and what may be an accident, is served on until it returns.
    Without arguments a running bridge says what that is; with them it takes the registry at its
    word. If the first answer still waits for it, unread or empty, that accepts that proxies lose
    all its hosts.
    Exit code 0: done, also if nothing was held; 1: no bridge answers; 2: a wrong name.
    """
    from meshbridge.cli.release import release_held

    sys.exit(release_held(admin, (registry, scope, service), planned, form))


def adapters() -> None:
    """List installed adapters and outlets."""
    from meshbridge.cli.adapters import list_plugins

    sys.exit(list_plugins())
