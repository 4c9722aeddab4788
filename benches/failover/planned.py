"""What a flip costs those who are there: groups A (planned flips under load) and D (the first requests after a flip)."""

import asyncio
import dataclasses
import statistics
import sys
import time

from load import Load
from stage import Stage, ZONES, order

WORK = 0.002
FIRST = 1_000


@dataclasses.dataclass
class Flips:
    """Group A: latencies in milliseconds."""

    flips: int
    requests: int
    failed: int
    twice: int
    orders: list
    during: list
    steady: list
    troubles: set


@dataclasses.dataclass
class After:
    """One flip of group D: the 99th percentile of its first requests, of the steady state before it, and of its last thousand."""

    kind: str
    errors: int
    p99: float
    steady: float
    calm: float

    @property
    def ratio(self):
        return self.p99 / self.steady

    @property
    def noise(self):
        """What the same division makes of a thousand requests without any flip."""
        return self.calm / self.steady


def percentile(values, share):
    """The smallest value that `share` of all are not above; 0.0 without values."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


async def planned(options):
    """Group A: flips to and fro by `zone activate`, one after the other, under load."""
    async with Stage("firedoor", "ordinary", options.folder / "A", options, work=WORK, workers=2) as stage:
        load = Load(stage.ports["port"], options.rate)
        load.start()
        await asyncio.sleep(3)
        windows = []
        for number in range(options.flips):
            zone = ZONES[(number + 1) % 2]
            begun = time.monotonic()
            await asyncio.to_thread(order, stage.ports["admin"], f"/v1/zones/{zone}/activate", '{"reason": "bench"}')
            windows.append((begun, time.monotonic()))
            print(f"A: flip {number + 1}: {(windows[-1][1] - begun) * 1000:.0f} ms", file=sys.stderr)
            await asyncio.sleep(0.7)
        sent = await load.stop()
        executions = stage.executions()
    spans = iter([*windows, (float("inf"), float("inf"))])
    span, during, steady = next(spans), [], []
    for each in sent:
        while each.due > span[1] + 0.25:
            span = next(spans)
        # Those that were under way when the flip was ordered take part in it.
        (during if each.due > span[0] - 0.05 else steady).append(each)
    return Flips(
        flips=len(windows), requests=len(sent), failed=sum(not each.ok for each in sent),
        twice=sum(executions.get(each.id, 0) > 1 for each in sent), orders=[(end - begun) * 1000 for begun, end in windows],
        during=latencies(during), steady=latencies(steady), troubles={f"{each.method}: {each.trouble}" for each in sent if not each.ok})


async def first_thousand(options, proxy):
    """Group D: fresh zones for every flip, so that no connection to the new one is there from an earlier flip."""
    kinds = ["planned", "check fails"] if proxy == "firedoor" else ["check fails"]
    found = []
    for kind in kinds:
        for number in range(options.rounds_after):
            folder = options.folder / f"D-{kind.replace(' ', '-')}-{proxy}-{number}"
            async with Stage(proxy, "fast", folder, options, work=WORK) as stage:
                found.append(await one_flip(stage, kind, options.rate))
            print(f"D: {proxy}, {kind}: {found[-1].errors} errors, p99 × {found[-1].ratio:.2f} (noise × {found[-1].noise:.2f})", file=sys.stderr)
    return found


async def one_flip(stage, kind, rate):
    load = Load(stage.ports["port"], rate)
    load.start()
    await asyncio.sleep(1 + 4 * FIRST / rate)
    flipped = time.monotonic()
    if kind == "planned":
        await asyncio.to_thread(order, stage.ports["admin"], "/v1/zones/fz-2/activate", '{"reason": "bench"}')
    else:  # requests still succeed, so that every error is the flip's
        await stage.tell("fz-1", health="503")
    await asyncio.sleep(2 + FIRST / rate)
    sent = await load.stop()
    before = [each for each in sent if each.due < flipped][int(rate / 2):]
    after = [each for each in sent if each.due >= flipped]
    # Those that were held for the flip are not after it; as errors they count.
    moved = min((each.done for each in after if each.zone == "fz-2"), default=float("inf"))
    first = [each for each in after if each.due >= moved][:FIRST]
    if len(first) < FIRST:
        raise RuntimeError(f"{stage.proxy.name} has not flipped in time: {stage.folder}")
    steady, calm = before, before[-FIRST:]
    errors = sum(not each.ok for each in after if each.due <= first[-1].due)
    return After(kind, errors, *(percentile(latencies(part), 0.99) for part in (first, steady, calm)))


def latencies(requests):
    return [each.latency * 1000 for each in requests]


def median(values):
    return statistics.median(values) if values else 0.0
