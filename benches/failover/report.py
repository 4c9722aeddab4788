"""The tables: counts and ratios, which a busy machine doesn't change, and times only where they are the point."""

import statistics

from planned import median, percentile
from proxies import version


def table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def group_a(result):
    """Planned flips."""
    head = ["planned flips", "requests", "failed", "executed twice", "a flip took (median / max)", "p50", "p99", "max", "p99 ÷ steady p99"]
    ms = lambda values, share: f"{percentile(values, share):.1f} ms"
    steady = percentile(result.steady, 0.99)
    rows = [
        [f"during {result.flips} flips", result.requests, result.failed, result.twice, f"{median(result.orders):.0f} / {max(result.orders):.0f} ms",
         ms(result.during, 0.5), ms(result.during, 0.99), ms(result.during, 1), f"{percentile(result.during, 0.99) / steady:.1f}"],
        ["steady", "", "", "", "", ms(result.steady, 0.5), ms(result.steady, 0.99), ms(result.steady, 1), "1.0"],
    ]
    return table(head, rows)


def group_b(chosen, results, proxies, options):
    """Unplanned, fast settings: one row per scenario and proxy. Counts are sums over the rounds, the time is the worst."""
    head = ["fault", "", "idempotent failed", "POSTs failed", "POSTs executed twice", "last request into the failed zone", "slower than 1 s", "of requests"]
    rows = []
    for scenario in chosen:
        for proxy in proxies:
            outcomes = [each for each in results[scenario.name, proxy] if each]
            if not outcomes:
                rows.append([scenario.name, version(proxy, options), *["left out"] * 5, ""])
                continue
            total = lambda name: sum(getattr(each, name) for each in outcomes)
            last = max((each.last_sent for each in outcomes if each.last_sent is not None), default=None)
            rows.append([
                scenario.name, version(proxy, options), total("failed_get"), total("failed_post"), total("twice"),
                "" if last is None else f"{last:.0f} ms", total("slow"), total("requests")])
    return table(head, rows)


def group_c(chosen, results, proxies, options):
    """Ordinary settings: failed requests, of these avoidable in brackets; medians over the rounds."""

    def middle(scenario, proxy, name):
        values = [getattr(each, name) for each in results[scenario.name, proxy] if each and getattr(each, name) is not None]
        return statistics.median_low(values) if values else None

    head = ["failed (of these avoidable)", *(version(proxy, options) for proxy in proxies)]
    rows, sums, avoidable, best, twice = [], dict.fromkeys(proxies, 0), dict.fromkeys(proxies, 0), 0, dict.fromkeys(proxies, 0)
    for scenario in chosen:
        failed = {proxy: middle(scenario, proxy, "failed") for proxy in proxies}
        spared = {proxy: middle(scenario, proxy, "avoidable") for proxy in proxies}
        rows.append([scenario.name, *(cell(failed[proxy], spared[proxy]) for proxy in proxies)])
        if scenario.gray == "fail-zone":
            rows[-1][0] += " (not in the sum)"
            continue
        for proxy in proxies:
            sums[proxy] += failed[proxy] or 0
            avoidable[proxy] += spared[proxy] or 0
            twice[proxy] += middle(scenario, proxy, "twice") or 0
        best += min((failed[proxy] for proxy in proxies if proxy != "firedoor" and failed[proxy] is not None), default=0)
    requests = sum(middle(scenario, proxies[0], "requests") or 0 for scenario in chosen)
    rows.append(["**sum**", *(f"**{cell(sums[proxy], avoidable[proxy])}**" for proxy in proxies)])
    rows.append(["POSTs executed twice", *(twice[proxy] for proxy in proxies)])
    about = f"{requests} requests to each proxy."
    if set(proxies) != {"firedoor"}:
        about += f" The best peer of each scenario added up: {best}."
    return table(head, rows) + "\n\n" + about


def cell(failed, spared):
    if failed is None:
        return "left out"
    return f"{failed} ({spared})" if spared is not None and failed else str(failed)


def group_d(results, options):
    """The first thousand requests after a flip."""
    head = ["first 1,000 after a flip", "flips", "errors", "p99 ÷ steady p99, median", "worst", "the same without a flip, median", "worst"]
    rows = []
    for proxy, found in results.items():
        for kind in dict.fromkeys(each.kind for each in found):
            flips = [each for each in found if each.kind == kind]
            ratios, noise = [each.ratio for each in flips], [each.noise for each in flips]
            rows.append([f"{version(proxy, options)}, {kind}", len(flips), sum(each.errors for each in flips), f"{median(ratios):.2f}", f"{max(ratios):.2f}",
                         f"{median(noise):.2f}", f"{max(noise):.2f}"])
    return table(head, rows)
