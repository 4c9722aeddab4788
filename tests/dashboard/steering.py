"""Asking what would happen, and making it happen."""

import threading

from stage import PATIENCE, Demo, Serve, eventually, exchange


def plan(chromium, binary):
    """What if: one component, two together, one that would come up again. Nothing changes by it."""
    with Demo(binary) as demo, chromium.tab(demo) as tab:
        tab.headline("fz-1 is active and serving.")
        before = demo.status()
        tab.act("What if fz-1:database fails?")
        tab.says("#dialog .told", "All requests would go from fz-1 to fz-2", "within", "if it hangs instead")
        tab.page.get_by_role("group", name="fz-2", exact=True).get_by_label("database").check()
        tab.says("#dialog h2", "What if fz-1:database and fz-2:database fail together?")
        tab.says("#dialog .told", "Nowhere to go", "fz-1 would stay active")
        tab.page.get_by_role("group", name="fz-1 (active)", exact=True).get_by_label("database").uncheck()
        tab.says("#dialog .told", "fz-1 would stay active", "No standby would be left")
        tab.page.keyboard.press("Escape")
        tab.until("!document.getElementById('dialog').open")
        assert tab.focused() == "What if fz-1:database fails?", tab.focused()
        after = demo.status()
        assert (before["epoch"], before["generation"]) == (after["epoch"], after["generation"])


def activate(chromium, binary):
    """A planned flip with the keyboard alone: looked at, confirmed, carried out, told; and markup in a reason is text."""
    with Demo(binary) as demo, chromium.tab(demo) as tab:
        tab.headline("fz-1 is active and serving.")
        keys = tab.page.keyboard
        tab.page.get_by_role("button", name="Activate fz-2", exact=True).focus()
        keys.press("Enter")
        tab.says("#dialog .preview", "All requests go from fz-1 to fz-2.", "fz-2 is serving")
        tab.until("document.activeElement.name === 'reason'")
        reason = "<img src=x onerror=alert(1)> night shift"
        keys.type(reason)
        tab.page.fill("input[name=name]", "Jörg")
        # Round and round: a dialog keeps the focus. Past its last element Chromium leaves for its own bar, headless for the body.
        for _ in range(12):
            keys.press("Tab")
            assert tab.page.evaluate("document.activeElement === document.body || document.activeElement.closest('dialog') !== null")
        assert demo.status()["active_zone"] == "fz-1", "nothing happens before it is confirmed"
        tab.page.locator("input[name=reason]").focus()
        keys.press("Enter")
        tab.says("#dialog .result", "Done.", "fz-1 → fz-2", reason)
        assert demo.status()["active_zone"] == "fz-2"
        assert reason in demo.flips()[-1]["rule"], demo.flips()[-1]
        keys.press("Escape")
        tab.headline("fz-2 is active instead of fz-1")
        tab.says("#journal .flip", "by an operator", reason)
        tab.says("#journal", "Jörg (from 127.0.0.0) ordered: activate fz-2")
        tab.until("document.activeElement.id === 'summary'")
        tab.act("Go back to fz-1…")
        tab.says("#dialog .preview", "All requests go from fz-2 to fz-1.")
        tab.page.get_by_role("button", name="Cancel").click()
        assert demo.status()["active_zone"] == "fz-2", "cancelled"
        tab.act("Go back to fz-1…")
        tab.until("document.querySelector('input[name=name]').value === 'Jörg'")
        tab.page.locator("#dialog button[type=submit]:enabled").click()
        tab.says("#dialog .result", "Done.")
        tab.headline("fz-1 is active and serving.")


def orders(chromium, binary):
    """Pin, drain, maintenance, drill, each there and back."""
    with Demo(binary) as demo, chromium.tab(demo) as tab:
        tab.headline("fz-1 is active and serving.")

        def give(label, *foreseen, reason=None):
            tab.act(label)
            tab.says("#dialog .preview", *foreseen)
            if reason:
                tab.page.fill("#dialog input[name=reason]", reason)
            tab.page.locator("#dialog button[type=submit]:enabled").click()
            tab.says("#dialog .result", "Done.")
            tab.page.locator("#dialog .result button").click()

        give("Pin fz-1", "stays active whatever happens", "if fz-1 failed, all requests would go to fz-2", reason="database work")
        tab.says("#summary", "fz-1 is pinned")
        tab.until("document.querySelector('.door').dataset.door === 'pinned'")
        tab.says("#journal", "database work")
        demo.put("break", "fz-1:database")
        tab.headline("fz-1 is active and has failed.")
        tab.act("Unpin fz-1")
        tab.says("#dialog .preview", "This would happen at once: all requests go to fz-2")
        demo.put("heal", "fz-1:database")
        tab.page.keyboard.press("Escape")
        tab.headline("fz-1 is active and serving.")
        give("Unpin fz-1", "Nothing moves now")
        assert demo.status()["pinned"] is None

        tab.page.locator("button.name", has_text="app-1").first.click()
        give("Drain fz-1:app-1", "gets nothing new", "1 of 2 backends")
        tab.says("#summary", "Taken out", "fz-1:app-1 is draining")
        give("Maintenance fz-1:app-1", "isn’t judged")
        give("Ready fz-1:app-1", "counts for its zone again")
        assert demo.component("fz-1:app-1")["operator"] == "ready"

        give("Drill fz-1", "fz-2 gets all requests for the time you say", reason="quarterly")
        tab.headline("Drill: fz-2 has the traffic")
        give("End the drill…", "All requests go back to fz-1")
        tab.headline("fz-1 is active and serving.")


def planned(chromium, binary):
    """While a planned flip waits for what is in flight, the door says so; then it is done, and nobody was turned away."""
    with Serve(binary) as firedoor, chromium.tab(firedoor) as tab:
        tab.headline("fz-1 is active and serving.")
        answers = []
        ask = lambda path: threading.Thread(target=lambda: answers.append(exchange(firedoor.proxy, "GET", path)[0]), daemon=True)
        slow = ask("/slow")
        slow.start()
        tab.says(".part .where", "1 in flight")
        tab.act("Activate fz-2")
        tab.says("#dialog .preview", "Now in flight in fz-1: 1 request.")
        tab.page.locator("#dialog button[type=submit]:enabled").click()
        tab.headline("Going from fz-1 to fz-2.")
        tab.until("document.querySelector('.door').dataset.door === 'flipping'")
        waiting = ask("/")
        waiting.start()
        tab.says(".door-said", "Flipping", "1 request waits until fz-1 has finished")
        for origin in firedoor.origins:
            origin.released.set()
        tab.says("#dialog .result", "Done.")
        tab.headline("fz-2 is active instead of fz-1.")
        for asked in (slow, waiting):
            asked.join(PATIENCE)
        assert answers == [200, 200], answers


def overtaken(chromium, binary):
    """What somebody else has changed since one looked is looked at again before anything is done."""
    with Demo(binary) as demo, chromium.tab(demo) as tab:
        tab.headline("fz-1 is active and serving.")
        tab.act("Activate fz-2")
        tab.says("#dialog .preview", "All requests go from fz-1 to fz-2.")
        demo.json("POST", "/v1/zones/fz-1/pin", {"reason": "somebody else"})
        tab.page.locator("#dialog button[type=submit]:enabled").click()
        tab.says("#dialog .result", "Not done", "changed since you looked")
        tab.says("#dialog .preview", "fz-1 is pinned: this will be refused")
        assert demo.status()["active_zone"] == "fz-1"
        tab.page.locator("#dialog button[type=submit]:enabled").click()
        tab.says("#dialog .result", "Not done", "fz-1 is pinned")
        tab.forgive("412", "409")


def reload(chromium, binary):
    """A new configuration, and one with mistakes, each of which is told with its place."""
    with Serve(binary) as firedoor, chromium.tab(firedoor) as tab:
        tab.headline("fz-1 is active and serving.")
        firedoor.file.write_text(firedoor.text.replace("interval =", "intervall ="))
        tab.act("Reload…")
        tab.says("#dialog .preview", str(firedoor.file), "All or nothing")
        tab.page.locator("#dialog button[type=submit]:enabled").click()
        tab.says("#dialog .result", "Not done", 'unknown key "intervall"', 'did you mean "interval"?')
        tab.says("#setup .pairs", "refused; the old one stays in force", 'unknown key "intervall"')
        firedoor.file.write_text(firedoor.text.replace("200ms", "300ms"))
        tab.page.locator("#dialog button[type=submit]:enabled").click()
        tab.says("#dialog .result", "Done.", "Configuration 2 is in force")
        tab.page.keyboard.press("Escape")
        tab.says("#setup .pairs", "generation2", "taken")
        tab.forgive("422")


def demo(chromium, binary):
    """In the demo, components break, hang and heal from the page; anywhere else there is no such thing."""
    with Demo(binary) as firedoor, chromium.tab(firedoor) as tab:
        tab.headline("fz-1 is active and serving.")
        tab.act("Hang fz-1:app-1")
        tab.says(".part[data-status=down]", "app-1", "demo: hung", "L7TOUT")
        tab.headline("fz-2 is active instead of fz-1")
        tab.act("Heal fz-1:app-1")
        tab.says(".hint", "fz-1 is well again")
        tab.act("Break all of fz-2")
        tab.headline("fz-1 is active")
        tab.act("Heal all of fz-2")
        tab.headline("fz-1 is active and serving.")
        listed = firedoor.json("GET", "/v1/demo")["components"]
        assert [one["condition"] for one in listed] == ["well"] * 6, listed
        assert firedoor.ask("POST", "/v1/demo/fz-9/break")[0] == 404
        assert firedoor.ask("POST", "/v1/demo/fz-1/burn")[0] == 404
    with Serve(binary) as firedoor, chromium.tab(firedoor) as tab:
        tab.headline("fz-1 is active and serving.")
        assert tab.page.locator(".demo").count() == 0
        assert firedoor.ask("GET", "/v1/demo")[0] == 404
        eventually("it is refused", lambda: firedoor.ask("POST", "/v1/demo/fz-1:app/break")[0] == 404)
