"""``sparkrig open``."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparkrig.cli.completion import components
from sparkrig.cli.options import CatalogOption, Output, OutputOption, StackFileOption, StackNameOption, TargetOption
from sparkrig.cli.prompt import err, out, print_json, session_for
from sparkrig.cli.request import request

if TYPE_CHECKING:
    from types import FrameType

    from sparkrig.commands.open import Forward, Login, Way
    from sparkrig.commands.session import Session


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("open")(open_component)


def open_component(
    component: Annotated[str, typer.Argument(metavar="COMPONENT", help="What to open.", autocompletion=components)],
    file: StackFileOption = Path("stack.yaml"),
    stack: StackNameOption = None,
    target: TargetOption = None,
    catalog: CatalogOption = None,
    only_print: Annotated[bool, typer.Option("--print", help="Print the URL; start no browser.")] = False,
    credentials: Annotated[
        bool, typer.Option("--credentials", help="Also print the first user's name and password.")
    ] = False,
    forward: Annotated[
        bool, typer.Option("--forward", help="By a port-forward, also where there is an address.")
    ] = False,
    port: Annotated[
        int,
        typer.Option("--port", metavar="PORT", min=0, max=65535, help="Local port of a port-forward; 0 is any."),
    ] = 0,
    output: OutputOption = Output.TEXT,
) -> None:
    """Print where a component is reached, and open it in a browser. A port-forward is held until Ctrl-C."""
    from sparkrig.commands.open import find_way, read_login

    with session_for(request(file, target, catalog), output) as session:
        name = session.stack_name(stack)
        way = find_way(session, name, component, forward_only=forward)
        login = read_login(session, name, component) if credentials else None
        browse = not only_print and out().live
        if way.forward is None:
            _show(way, way.url or "", login, output, browse)
            if session.facts.simulated:
                err().write("simulated: no pod behind this address answers\n")
        else:
            _hold(session, way, way.forward, login, output, browse, port)


def _hold(
    session: Session, way: Way, forward: Forward, login: Login | None, output: Output, browse: bool, port: int
) -> None:
    from sparkrig.kube.portforward import LocalForward, pod_behind

    pod_behind(session.api, forward.namespace, forward.service, forward.port)  # says at once what is wrong
    ended = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    old = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with LocalForward(
            session.api,
            forward.namespace,
            forward.service,
            forward.port,
            local_port=port,
            on_problem=lambda message: err().write(f"port-forward: {message}\n"),
        ) as held:
            _show(way, forward.url(held.address), login, output, browse)
            err().write(f"forwarding to Service {forward.namespace}/{forward.service}; Ctrl-C ends it\n")
            while not ended.wait(0.5):
                pass
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _show(way: Way, url: str, login: Login | None, output: Output, browse: bool) -> None:
    if output is Output.JSON:
        document = {"apiVersion": "sparkrig.dev/v1", "kind": "Address", "url": url, "how": way.how, "note": way.note}
        print_json(document | ({"username": login.username, "password": login.password} if login else {}))
    else:
        out().write(f"{url}\n" + (f"username {login.username}\npassword {login.password}\n" if login else ""))
        if way.note:
            err().write(f"by {way.how}; {way.note}\n")
    sys.stdout.flush()
    if browse:
        import webbrowser

        webbrowser.open(url)
