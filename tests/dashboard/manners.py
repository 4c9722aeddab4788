"""For everybody, on everything: screen readers, both themes, small and large screens."""

from stage import Demo, Serve


def _states(demo, tab):
    """The page in the states that look different, one after the other."""
    tab.headline("fz-1 is active and serving.")
    yield "well"
    tab.page.locator("button.name", has_text="database").first.click()
    demo.put("break", "fz-1:database")
    tab.headline("fz-2 is active instead of fz-1")
    tab.says(".part[data-status=down] .panel", "Last checks")
    tab.page.get_by_label("Everything").check()
    yield "failed over"
    tab.act("What if fz-2:database fails?")
    tab.says("#dialog .told", "Nowhere to go")
    yield "what if"
    tab.page.keyboard.press("Escape")
    tab.act("Pin fz-2")
    tab.says("#dialog .preview", "Nothing is given up now")
    yield "order"
    tab.page.locator("#dialog button[type=submit]:enabled").click()
    tab.says("#dialog .result", "Done.")
    tab.page.keyboard.press("Escape")
    demo.put("break", "fz-2")
    tab.says(".grade", "Nothing can serve")
    yield "nothing can serve"


def accessible(chromium, binary):
    """axe finds nothing serious, in either theme, in any state."""
    for scheme in ("light", "dark"):
        with Demo(binary) as demo, chromium.tab(demo, color_scheme=scheme, reduced_motion="reduce") as tab:
            found = [f"{scheme}, {state}: {problem}" for state in _states(demo, tab) for problem in tab.serious()]
            assert found == [], "\n".join(found)
    with Serve(binary, token="s3cret") as firedoor, chromium.tab(firedoor) as tab:
        tab.says("#signin h2", "wants a token")
        assert tab.serious() == []
        tab.forgive("401")


def widths(chromium, binary):
    """From the smallest phone to a wall, nothing has to be scrolled sideways."""
    with Demo(binary) as demo, chromium.tab(demo) as tab:
        for state in _states(demo, tab):
            for width, height in ((320, 640), (360, 800), (768, 1024), (1280, 800), (1920, 1080), (3840, 2160)):
                tab.page.set_viewport_size({"width": width, "height": height})
                wide = tab.page.evaluate(
                    "[document.documentElement, ...document.querySelectorAll('dialog[open], .plan, .card, .room')]"
                    ".filter((one) => one.scrollWidth > one.clientWidth).map((one) => `${one.tagName}.${one.className} ${one.scrollWidth} > ${one.clientWidth}`)"
                )
                assert wide == [], f"{state} at {width}: {wide}"


def themes(chromium, binary):
    """The switch wins over the system's choice, and is remembered."""
    ground = "getComputedStyle(document.body).backgroundColor"
    with Demo(binary) as demo, chromium.tab(demo, color_scheme="dark") as tab:
        tab.headline("fz-1 is active and serving.")
        dark = tab.page.evaluate(ground)
        tab.page.get_by_label("Light").check()
        light = tab.page.evaluate(ground)
        assert dark != light, light
        tab.load()
        assert tab.page.evaluate(ground) == light
        assert tab.page.get_by_label("Light").is_checked()
        tab.page.get_by_label("Auto").check()
        assert tab.page.evaluate(ground) == dark
