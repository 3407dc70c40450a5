"""What every request pays for its way through the framework."""

import inspect
import json
import math
from collections.abc import Callable, Iterator
from typing import Any, Final

from fastapi.dependencies.models import Dependant
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from staffroom.api.quick_json import QuickJSON
from staffroom.api.server import ROUTERS

DOCUMENT: Final[dict[str, Any]] = {
    "text": '«Déjà vu» \u2028 </script> 🏫 \u0000 "quoted\\"',
    "numbers": [0, -1, 0.1234, 1e-7, 2**53],
    "nothing": None,
    "yes": True,
    "inside": {"list": [[], {}]},
}


def calls(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    if dependant.call:
        yield dependant.call
    for inner in dependant.dependencies:
        yield from calls(inner)


def test_quick_json_says_what_json_says() -> None:
    quick, slow = QuickJSON(DOCUMENT), JSONResponse(DOCUMENT)

    assert json.loads(bytes(quick.body)) == json.loads(bytes(slow.body)) == DOCUMENT
    assert quick.headers["content-type"] == slow.headers["content-type"]
    assert "🏫".encode() in bytes(quick.body)


def test_a_number_that_json_lacks_is_null() -> None:
    assert QuickJSON({"relevance": math.nan}).body == b'{"relevance":null}'


def test_no_route_waits_for_a_thread() -> None:
    routes = [route for router in ROUTERS for route in router.routes]
    found = {
        call.__qualname__
        for route in routes
        if isinstance(route, APIRoute)
        for call in calls(route.dependant)
        if not inspect.iscoroutinefunction(call)
    }

    assert len(routes) > 50
    assert found == set()
