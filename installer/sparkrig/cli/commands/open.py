"""``sparkrig open``."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from sparkrig.cli.completion import components
from sparkrig.cli.options import DeployedStack, Format, FormatOnly
from sparkrig.cli.prompt import err, out, print_json, session_for

if TYPE_CHECKING:
    from types import FrameType

    from sparkrig.commands.open import Forward, Login, Way
    from sparkrig.commands.session import Session


def open_(
    component: Annotated[
        str, typer.Argument(metavar="COMPONENT", help="The component to open.", autocompletion=components)
    ],
    only_print: Annotated[bool, typer.Option("--print", help="Print the URL without opening a browser.")] = False,
    credentials: Annotated[
        bool, typer.Option("--credentials", help="Also print the user name and password of the first user.")
    ] = False,
    forward: Annotated[
        bool, typer.Option("--forward", help="Use a port-forward even if the component has an address.")
    ] = False,
    port: Annotated[
        int,
        typer.Option(
            "--port", metavar="PORT", min=0, max=65535, help="The local port of a port-forward; 0 for any free port."
        ),
    ] = 0,
    *,
    stack: DeployedStack,
    output: FormatOnly,
) -> None:
    """Print the URL of a component and open it in a browser. A port-forward runs until interrupted (Ctrl-C)."""
    from sparkrig.commands.open import find_way, read_login

    with session_for(stack.request(), output) as session:
        name = session.stack_name(stack.name)
        way = find_way(session, name, component, forward_only=forward)
        login = read_login(session, name, component) if credentials else None
        browse = not only_print and out().live
        if way.forward is None:
            _show(way, way.url or "", login, output.format, browse)
            if session.facts.simulated:
                err().write("simulated: no pod behind this address answers\n")
        else:
            _hold(session, way, way.forward, login, output.format, browse, port)


def _hold(
    session: Session, way: Way, forward: Forward, login: Login | None, output: Format, browse: bool, port: int
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


def _show(way: Way, url: str, login: Login | None, output: Format, browse: bool) -> None:
    if output is Format.JSON:
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
