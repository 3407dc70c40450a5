"""What a route stands on: the installation, which is opened with the server and closed with it."""

from typing import Annotated

from fastapi import Depends, Request

from staffroom.app import App


async def installation(request: Request) -> App:
    """The installation that this server serves. Async, since others are called in a thread."""
    app = request.app.state.staffroom
    assert isinstance(app, App)
    return app


Staffroom = Annotated[App, Depends(installation)]
