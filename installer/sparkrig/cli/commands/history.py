"""``sparkrig history``."""

from __future__ import annotations

import datetime
from functools import partial
from typing import Annotated

from sparkrig.cli.groups import Only
from sparkrig.cli.options import FormatOnly, StackOptions
from sparkrig.cli.prompt import print_result, session_for


def history(*, stack: Annotated[StackOptions, Only("file name target")], output: FormatOnly) -> None:
    """List the recorded revisions of the stack. Shows date, user, change and result of each."""
    from sparkrig.output.history import history_json, history_text

    with session_for(stack.request(), output) as session:
        name = session.stack_name(stack.name)
        revisions = session.history(name).all()
    now = datetime.datetime.now(datetime.UTC)
    print_result(output, partial(history_json, name, revisions), partial(history_text, name, revisions, now))
