"""Calls of helm that are repeated once where what stood in their way is known, and explained where they fail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from sparkrig import log
from sparkrig.apply.clearing import clear_the_way
from sparkrig.apply.failures import explained, last_attempt, old_hooks
from sparkrig.apply.operations.context import Context, Say
from sparkrig.apply.outage import is_back, tells_outage
from sparkrig.defaults import SCHEMA_REFRESH_S, SCHEMA_TRIES
from sparkrig.helm.errors import HelmError
from sparkrig.helm.storage.recovery import recover
from sparkrig.models.operation import HelmWrite, ReleaseOperation, UninstallRelease

T = TypeVar("T")


async def with_help(context: Context, operation: HelmWrite, say: Say, call: Callable[[], Awaitable[T]]) -> T:
    """A helm call; once more where an old hook stood in its way, and with its reason where it fails.

    Raises:
        HelmError: with the failed hooks' pods, and with the webhooks that do not answer.
    """
    api = context.api
    try:
        return await over_an_outage(context, operation, say, call)
    except HelmError as error:
        attempt = await asyncio.to_thread(last_attempt, api, operation.release, operation.namespace)
        old = await asyncio.to_thread(old_hooks, api, attempt) if attempt and error.code == "failed" else ()
        if not old:
            raise await asyncio.to_thread(explained, api, attempt, error) from error
    log.info("retry", operation=operation.id, reason="an object of an earlier hook was in the way")
    await clear_the_way(api, context.waiter, replace(operation, recreated=(), leftovers=old), say)
    await recover(api, operation.release, operation.namespace, wanted=True)
    try:
        return await call()
    except HelmError as error:
        attempt = await asyncio.to_thread(last_attempt, api, operation.release, operation.namespace)
        raise await asyncio.to_thread(explained, api, attempt, error) from error


async def over_an_outage(
    context: Context, operation: ReleaseOperation, say: Say, call: Callable[[], Awaitable[T]]
) -> T:
    """A helm call; once more where the API server was away meanwhile and is back in ``API_OUTAGE_S``.

    helm itself gives up at the first refused connection.
    """
    api = context.api
    began = time.monotonic()
    call = partial(_until_schemas_are_known, context, operation, say, call)
    try:
        return await call()
    except HelmError as error:
        # helm tells a lost API server in many words, a hook that it lost sight of among them.
        away = tells_outage(error) or api.transport().failed_at > began
        if not away or not await asyncio.to_thread(is_back, api, say):
            raise
    await recover_release(context, operation, say)
    log.info("retry", operation=operation.id, reason="the API server was away")
    say("helm once more: the API server was away")
    return await call()


async def _until_schemas_are_known(
    context: Context, operation: ReleaseOperation, say: Say, call: Callable[[], Awaitable[T]]
) -> T:
    """A helm call; again while an admission policy refuses custom resources because their CRD is too new.

    ``Waiter.until_ready`` has asked each policy that a dry run can ask, at one API server.
    """
    for _ in range(SCHEMA_TRIES - 1):
        try:
            return await call()
        except HelmError as error:
            if error.code != "schema":
                raise
        log.info("retry", operation=operation.id, reason="an admission policy does not know the schema of a new CRD")
        say("helm once more: the API server reads the schemas of new CRDs")
        await asyncio.sleep(SCHEMA_REFRESH_S)
        await recover_release(context, operation, say)
    return await call()


async def recover_release(context: Context, operation: ReleaseOperation, say: Say) -> None:
    """Makes the release usable again where a helm process that died left it pending."""
    wanted = not isinstance(operation, UninstallRelease)
    recovered = await recover(context.api, operation.release, operation.namespace, wanted=wanted)
    if recovered is not None:
        say(recovered.reason)
        if recovered.after == "uninstalled":
            context.uninstalled.add(operation.component)
