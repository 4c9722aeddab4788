"""What goes wrong, and what it costs: groups B (set to flip fast) and C (ordinary settings)."""

import asyncio
import collections
import contextlib
import dataclasses
import json
import signal
import subprocess
import sys
import time
import typing

from install import HERE, is_isolated, python
from load import Load
from postgres import Postgres
from proxies import end, takes_postgres_checks
from stage import Child, Stage, ZONES


@dataclasses.dataclass
class Timing:
    """Seconds of load before, during and after the fault, and requests per second."""

    before: float
    during: float
    after: float
    rate: int


# Seconds. A generator that is later than this says nothing about the proxy, whose timeouts ran as well: played once more.
STANDSTILL = 0.4
FAST = Timing(2, 5, 2, 200)
ORDINARY = Timing(3, 7, 6.5, 60)


@dataclasses.dataclass
class Scenario:
    """A fault, how it is healed, and which app servers are not to blame the proxy for while it lasts."""

    name: str
    faulty: list
    harm: typing.Callable
    heal: typing.Callable
    gray: str = "eject"
    packets: bool = False
    postgres: bool = False


def tell(*keys, **faults):
    return lambda stage: stage.tell(*keys, **faults)


def sends(number, *keys):
    async def act(stage):
        stage.signal(number, *keys)

    return act


def stop(*keys):
    return sends(signal.SIGSTOP, *keys), sends(signal.SIGCONT, *keys)


def kill(*keys):
    return lambda stage: stage.kill(*keys), lambda stage: stage.revive(*keys)


def broken(*keys, **faults):
    return tell(*keys, **faults), tell(*keys, **dict.fromkeys(faults, ""))


async def drop(stage):
    stage.drop("fz-1")


async def undrop(stage):
    stage.undrop()


async def flap(stage):
    """Gone and back, by turns of 0.7 s; ends well."""
    for number in range(10):
        await stage.tell("fz-1:a", listen=number % 2 == 1)
        await asyncio.sleep(0.7)


async def roll(stage):
    """One app server after the other, each given two seconds before the next one goes."""
    for key in stage.apps:
        await stage.restart(key)
        await asyncio.sleep(2)


async def reload(stage):
    for number in range(3):
        await stage.proxy.reload()
        await asyncio.sleep(3)


async def read_only(stage):
    """The database takes no writes any more, so the app fails every POST; its health page only reads."""
    await stage.postgres["fz-1"].read_only(True)
    await stage.tell("fz-1", requests_post="500")


async def writable(stage):
    await stage.postgres["fz-1"].read_only(False)
    await stage.tell("fz-1", requests_post="")


async def nothing(_stage):
    pass


def database(act):
    """What `act` does to the database of zone 1."""
    return lambda stage: act(stage.databases["fz-1"])


async def freeze(child):
    child.signal(signal.SIGSTOP)


async def thaw(child):
    child.signal(signal.SIGCONT)


DATABASE_GONE = database(Child.kill), database(Child.start)
GROUP_B = [
    Scenario("kill -9 of the zone", ["fz-1"], *kill("fz-1")),
    Scenario("SIGSTOP of the zone", ["fz-1"], *stop("fz-1")),
    Scenario("packets to the zone dropped", ["fz-1"], drop, undrop, packets=True),
    Scenario("zone answers 500, checks too", ["fz-1"], *broken("fz-1", requests="500", health="500")),
    Scenario("database gone", ["fz-1"], *DATABASE_GONE),
    Scenario("database read-only", ["fz-1"], read_only, writable, postgres=True),
]
GROUP_C = [
    Scenario("kill -9, one backend", ["fz-1:a"], *kill("fz-1:a")),
    Scenario("kill -9, zone", ["fz-1"], *kill("fz-1")),
    Scenario("SIGSTOP, one backend", ["fz-1:a"], *stop("fz-1:a")),
    Scenario("SIGSTOP, zone", ["fz-1"], *stop("fz-1")),
    Scenario("packets dropped, zone", ["fz-1"], drop, undrop, packets=True),
    Scenario("503, zone", ["fz-1"], *broken("fz-1", requests="503", health="503")),
    Scenario("500 with a good /health, one backend", ["fz-1:a"], *broken("fz-1:a", requests="500")),
    Scenario("database killed", ["fz-1"], *DATABASE_GONE),
    Scenario("database hung", ["fz-1"], database(freeze), database(thaw)),
    Scenario("3 s stalls with a good /health, one backend", ["fz-1:a"], *broken("fz-1:a", requests="stall")),
    Scenario("garbage answers, one backend", ["fz-1:a"], *broken("fz-1:a", requests="garbage", health="garbage")),
    Scenario("flapping backend", ["fz-1:a"], flap, nothing),
    Scenario("rolling restart", [], roll, nothing),
    Scenario("reload", [], reload, nothing),
    Scenario("every answer cut with a good /health, zone", ["fz-1"], *broken("fz-1", requests="cut"), gray="fail-zone"),
]
GROUPS = {"B": (GROUP_B, FAST, "fast"), "C": (GROUP_C, ORDINARY, "ordinary")}


@dataclasses.dataclass
class Outcome:
    """What one proxy made of one scenario."""

    requests: int
    failed_get: int
    failed_post: int
    twice: int
    slow: int
    # Failed requests other than POSTs that had been sent to a faulty app server; None without the wire's record.
    avoidable: int | None
    # Milliseconds from the fault to the last request that was sent into the failed zone.
    last_sent: float | None
    # How late the generator was, at worst, in seconds.
    lag: float
    troubles: dict

    @property
    def failed(self):
        return self.failed_get + self.failed_post


async def play(scenario, proxy, group, folder, options):
    """One scenario, one proxy; `None` if this machine or this firedoor can't."""
    _, timing, settings = GROUPS[group]
    if scenario.packets and not is_isolated():
        return None
    if scenario.postgres and not ("firedoor" in options.only and takes_postgres_checks(options, options.folder)):
        return None
    postgres = {zone: Postgres(folder.with_name(f"{folder.name}-{zone}")) for zone in ZONES} if scenario.postgres else {}
    try:
        await asyncio.gather(*(each.start() for each in postgres.values()))
        checks = {zone: each.check() for zone, each in postgres.items()}
        async with Stage(proxy, settings, folder, options, gray=scenario.gray, databases=checks) as stage:
            stage.postgres = postgres
            return await under_load(scenario, stage, timing, options.folder / "wire")
    finally:
        await asyncio.gather(*(each.stop() for each in postgres.values()))


async def under_load(scenario, stage, timing, wire):
    load = Load(stage.ports["port"], timing.rate)
    load.start()
    await asyncio.sleep(timing.before)
    begun = time.monotonic()
    await scenario.harm(stage)
    # From when the fault is there, unless it is a whole play of its own.
    harmed = begun if scenario.heal is nothing else time.monotonic()
    if scenario.heal is not nothing:
        await asyncio.sleep(timing.during)
    healed = time.monotonic()
    await scenario.heal(stage)
    usual = timing.before + timing.during + timing.after
    await asyncio.sleep(max(load.begun + usual - time.monotonic(), 1))
    sent = await load.stop()
    (stage.folder / "failed.jsonl").write_text("".join(
        json.dumps({**dataclasses.asdict(each), "due": each.due - harmed, "done": each.done - harmed}) + "\n" for each in sent if not each.ok))
    return dataclasses.replace(conclude(scenario, stage, sent, harmed, healed, wire), lag=load.lag)


def conclude(scenario, stage, sent, harmed, healed, wire):
    faulty = {key for key in stage.apps if key in scenario.faulty or key.split(":")[0] in scenario.faulty}
    executions, heads = stage.executions(), stage.sent(wire) if is_isolated() else []
    reached = {request for request, key, when in heads if key in faulty and when > harmed - 1}
    failed = [each for each in sent if not each.ok]
    late = [when for _, key, when in heads if key in faulty and harmed < when < healed]
    return Outcome(
        requests=len(sent),
        failed_get=sum(each.method == "GET" for each in failed),
        failed_post=sum(each.method == "POST" for each in failed),
        twice=sum(executions.get(each.id, 0) > 1 for each in sent if each.method == "POST"),
        slow=sum(each.latency > 1 for each in sent),
        avoidable=sum(each.method == "GET" or each.id not in reached for each in failed) if is_isolated() else None,
        last_sent=(max(late, default=harmed) - harmed) * 1000 if is_isolated() else None,
        lag=0.0,
        troubles=dict(collections.Counter(f"{each.method}: {each.trouble}" for each in failed)),
    )


@contextlib.asynccontextmanager
async def watched_wire(log):
    """Where the wire can be watched, notes in `log` which request goes to which port."""
    if not is_isolated():
        yield
        return
    watcher = await asyncio.create_subprocess_exec(
        python(), str(HERE / "wire.py"), str(log), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    await watcher.stdout.readline()
    try:
        yield
    finally:
        await end(watcher)


async def run(group, proxies, options):
    """All scenarios of the group with all proxies, at most --at-once of them side by side; outcomes by scenario and proxy."""
    scenarios, _, _ = GROUPS[group]
    chosen = [scenario for scenario in scenarios if not options.scenario or options.scenario in scenario.name]
    results = {(scenario.name, proxy): [] for scenario in chosen for proxy in proxies}
    places = asyncio.Semaphore(options.at_once)

    async def one(scenario, proxy, number):
        slug = "".join(letter if letter.isalnum() else "-" for letter in scenario.name)
        async with places:
            for attempt in range(3):
                folder = options.folder / f"{group}-{slug}-{proxy}-{number}{'-again' * attempt}"
                try:
                    outcome = await play(scenario, proxy, group, folder, options)
                    said = told(outcome)
                except RuntimeError as trouble:  # one that doesn't start must not cost the results of the others
                    outcome, said = None, str(trouble)
                print(f"{group}: {scenario.name}: {proxy}: {said}", file=sys.stderr)
                if not outcome or outcome.lag < STANDSTILL:
                    break
                follows = "once more" if attempt < 2 else "these figures stay"
                print(f"{group}: the machine stood still for {outcome.lag:.1f} s: {follows}", file=sys.stderr)
        results[scenario.name, proxy].append(outcome)

    async with watched_wire(options.folder / "wire"), asyncio.TaskGroup() as tasks:
        for number in range(options.rounds):
            # The order alternates, so that no proxy has always the same neighbours.
            for scenario in chosen:
                for proxy in proxies if number % 2 == 0 else proxies[::-1]:
                    tasks.create_task(one(scenario, proxy, number))
    return chosen, results


def told(outcome):
    if outcome is None:
        return "left out: needs namespaces, or a firedoor that knows postgres checks"
    troubles = ", ".join(f"{count} × {trouble}" for trouble, count in sorted(outcome.troubles.items()))
    return f"{outcome.failed} of {outcome.requests} failed" + (f" ({troubles})" if troubles else "")
