"""When firedoor goes away, hangs, comes back, or doesn't know who asks."""

from stage import Serve


def restart(chromium, binary):
    """What was seen last stays, with its age; and when firedoor is back, the page goes on by itself, with nothing doubled."""
    with Serve(binary) as firedoor, chromium.tab(firedoor) as tab:
        tab.headline("fz-1 is active and serving.")
        firedoor.json("POST", "/v1/zones/fz-2/activate", {"reason": "before"})
        tab.says("#journal .flip", "before")
        tab.headline("fz-2 is active instead of fz-1")
        firedoor.stop()
        tab.says("#link", "Last seen", "ago")
        tab.says("#summary", "Not connected. This is how it was", "fz-2 is active instead of fz-1")
        tab.says("#announcer", "The connection to firedoor is lost")
        assert tab.page.title().startswith("?"), tab.page.title()
        firedoor.start()
        tab.says("#link", "Live")
        tab.headline("fz-2 is active instead of fz-1")
        firedoor.json("POST", "/v1/failback", {"reason": "after"})
        tab.says("#journal .flip", "after")
        tab.headline("fz-1 is active and serving.")
        flips = tab.page.locator("#journal .flip").all_inner_texts()
        assert len(flips) == 2 and "after" in flips[0] and "before" in flips[1], flips
        # The browser says so when it is refused; whether it had to ask in vain depends on how soon firedoor was back.
        tab.complaints = [said for said in tab.complaints if "net::ERR" not in said]


def silence(chromium, binary):
    """A firedoor that hangs keeps its connections; the page notices the silence all the same."""
    with Serve(binary) as firedoor, chromium.tab(firedoor) as tab:
        tab.headline("fz-1 is active and serving.")
        tab.says("#link", "Live")
        firedoor.freeze()
        try:
            tab.says("#link", "Last seen", "silent")
        finally:
            firedoor.thaw()
        tab.says("#link", "Live")


def token(chromium, binary):
    """The page asks for the token, says when it is wrong, and keeps it for this tab only."""
    with Serve(binary, token="s3cret") as firedoor:
        with chromium.tab(firedoor) as tab:
            tab.says("#signin h2", "wants a token")
            assert tab.page.locator("article.room").count() == 0
            tab.page.keyboard.press("Escape")
            tab.page.fill("input[name=token]", "wrong")
            tab.page.keyboard.press("Enter")
            tab.says("#signin-said", "The token is not the right one.")
            tab.page.fill("input[name=token]", "s3cret")
            tab.page.keyboard.press("Enter")
            tab.headline("fz-1 is active and serving.")
            tab.act("Pin fz-1")
            tab.page.locator("#dialog button[type=submit]:enabled").click()
            tab.says("#dialog .result", "Done.")
            tab.load()
            tab.says(".hint", "fz-1 is pinned")
            assert tab.page.evaluate("localStorage.getItem('firedoor-token')") is None
            other = tab.context.new_page()
            other.goto(firedoor.address)
            other.wait_for_selector("#signin[open]")
            other.close()
            tab.act("Sign out")
            tab.says("#signin h2", "wants a token")
            tab.forgive("401")
