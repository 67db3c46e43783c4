"""Fixtures: a Chromium, and what opens addresses in it with the network off."""

import pytest
from jupyterlab_page import FLAGS
from playwright.sync_api import sync_playwright


@pytest.fixture(scope="module")
def browser(chromium):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def offline(browser):
    """Return what opens an address, offline; nothing may be said on the console."""
    troubles, contexts = [], []

    def at(address, **how):
        context = browser.new_context(offline=True, **how)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        name = address.rpartition("/")[2]
        page.on("console", lambda message: troubles.append(f"{name}: {message.text}"))
        page.on("pageerror", lambda error: troubles.append(f"{name}: {error}"))
        page.on("requestfailed", lambda request: troubles.append(f"{name}: {request.url}"))
        page.goto(address)
        return page

    yield at
    for context in contexts:
        context.close()
    assert troubles == []
