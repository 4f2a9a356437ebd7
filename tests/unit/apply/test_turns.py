"""Turns: who began first goes first, and no place is lost when somebody gives up."""

from __future__ import annotations

import asyncio
import contextlib

from sparkrig.apply.turns import Turns


def test_the_lowest_rank_is_next_and_no_more_than_the_places_are_taken() -> None:
    order: list[tuple[int, int]] = []
    inside = most = 0

    async def one(turns: Turns, rank: int, number: int) -> None:
        nonlocal inside, most
        async with turns.at(rank):
            inside += 1
            most = max(most, inside)
            order.append((rank, number))
            await asyncio.sleep(0)
            inside -= 1

    async def everyone() -> None:
        turns = Turns(2)
        ranks = [2, 2, 0, 1, 0, 2]
        await asyncio.gather(*(one(turns, rank, number) for number, rank in enumerate(ranks)))

    asyncio.run(everyone())
    assert most == 2
    assert order[:2] == [(2, 0), (2, 1)]  # places were free when they came
    assert order[2:] == [(0, 2), (0, 4), (1, 3), (2, 5)]


def test_who_gives_up_takes_no_place_along() -> None:
    async def run() -> list[str]:
        turns, seen = Turns(1), []

        async def take(name: str) -> None:
            async with turns.at(0):
                seen.append(name)

        async with turns.at(0):
            waiting = asyncio.create_task(take("gave up while it waited"))
            granted = asyncio.create_task(take("gave up when its turn came"))
            last = asyncio.create_task(take("last"))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.sleep(0)
        granted.cancel()  # its turn came with the end of the block above, and it has not run since
        for task in (waiting, granted):
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await asyncio.wait_for(last, 5)
        async with asyncio.timeout(5), turns.at(0):
            return seen

    assert asyncio.run(run()) == ["last"]
