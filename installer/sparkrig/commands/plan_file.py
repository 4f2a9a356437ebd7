"""What a plan was made from, taken down to be saved or compared; and the file it is saved in."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import sparkrig
from sparkrig.commands.session import Session
from sparkrig.commands.transaction import now
from sparkrig.errors import NotFound, SparkrigError
from sparkrig.history.lock import identity
from sparkrig.models.json import text_at
from sparkrig.models.plan import Plan
from sparkrig.models.release import ResolvedStack
from sparkrig.models.state import ObservedState
from sparkrig.plan.saved import (
    Asked,
    SavedPlan,
    base_form,
    changes_form,
    charts_form,
    decode,
    digest,
    encode,
    is_saved_plan,
    plan_form,
    releases_form,
    without_secrets,
)


def snapshot(
    session: Session,
    resolved: ResolvedStack,
    observed: ObservedState,
    plan: Plan,
    *,
    repair: bool,
    keep: tuple[str, ...] = (),
) -> SavedPlan:
    """The plan with everything it was made from."""
    sets, withheld = without_secrets(session.request.overrides.sets)
    asked = session.request
    return SavedPlan(
        stack=resolved.name,
        cluster=session.handle.name,
        created=now(),
        who=identity(),
        sparkrig=sparkrig.__version__,
        asked=Asked(
            stack_file=str(asked.stack_file),
            target=asked.target,
            catalogs=tuple(map(str, asked.catalogs)),
            chart_mirror=tuple(map(str, asked.chart_mirror)),
            stand_ins=str(asked.stand_ins) if asked.stand_ins else None,
            values=asked.overrides.values,
            sets=sets,
            withheld=withheld,
            repair=repair,
            keep=keep,
        ),
        base=base_form(observed),
        cluster_id=_cluster_id(session),
        files={name: digest([session.sources[name]]) for name in _input_files(session) if name in session.sources},
        catalogue=_catalogue(session, resolved),
        charts=charts_form(resolved),
        releases=releases_form(resolved, observed),
        secrets={secret.spec.name: secret.fingerprint for secret in resolved.secrets},
        changes=changes_form(plan),
        plan=plan_form(plan),
    )


def write_plan(saved: SavedPlan, path: Path) -> None:
    """Writes the file, readable for its owner only; what was there is replaced whole.

    Raises:
        SparkrigError: it cannot be written, or what is there is no saved plan.
    """
    try:
        if path.exists() and not is_saved_plan(path.read_text(encoding="utf-8", errors="replace")):
            raise SparkrigError(f"{path} is there and is no saved plan", hint="give --out another name")
        folder = path.parent
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=folder, prefix=f".{path.name}.", delete=False
        ) as file:
            try:
                file.write(encode(saved))  # a temporary file has mode 0600
                file.close()
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise SparkrigError(f"the plan cannot be written to {path}: {error.strerror}") from error


def read_plan(path: Path) -> SavedPlan:
    """The plan in a file.

    Raises:
        NotFound: it cannot be read.
        InvalidInput: it is no saved plan.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise NotFound(
            f"the saved plan {path} cannot be read: {reason}",
            hint="sparkrig plan --out FILE makes one; a stack file is given with -f FILE",
        ) from error
    return decode(text, os.fspath(path))


def _input_files(session: Session) -> list[str]:
    """The stack file and the values files, by the names they are shown under."""
    named = [file.path for entry in session.stack_file.components.values() for file in entry.values_files]
    given = [Path(argument.partition("=")[2]) for argument in session.request.overrides.values]
    return [session.stack_file.file, *(session.sources.shown(path) for path in (*named, *given))]


def _catalogue(session: Session, resolved: ResolvedStack) -> dict[str, str]:
    """The files of each component that is on, as they were read."""
    found = {}
    for release in resolved.releases:
        folder = session.catalog.files[release.component].shown("") + "/"
        texts = [
            text
            for name in sorted(session.sources)
            if name.startswith(folder)
            for text in (name, session.sources[name])
        ]
        found[release.component] = digest(texts)
    return found


def _cluster_id(session: Session) -> str:
    try:
        namespace = session.api.get("/api/v1/namespaces/kube-system", missing_ok=True) or {}
    except SparkrigError:
        return ""  # without the right to read it, names and revisions still tell
    return text_at(namespace, "metadata", "uid")
