"""The login page of the simulated exchange: one button."""

from html import escape
from typing import Final

from aiohttp import web

PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Simulated exchange</title>
<body style="font-family: sans-serif; max-width: 24rem; margin: 4rem auto">
<h1>Simulated exchange</h1>
<p>No real account, no real money. The button logs this application in until 06:00 IST.</p>
<form method="post" action="/connect/login">
<input type="hidden" name="api_key" value="{api_key}">
<input type="hidden" name="redirect_params" value="{redirect_params}">
<button type="submit">Log in</button>
</form>
</body>
</html>
"""


def login_page(api_key: str, redirect_params: str) -> web.Response:
    """The form that posts back what the link brought."""
    page = PAGE.format(
        api_key=escape(api_key, quote=True), redirect_params=escape(redirect_params, quote=True)
    )
    return web.Response(text=page, content_type="text/html")
