"""What every request passes: hosts, origins, load, time and size."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from staffroom.api.guards import SECURITY_HEADERS, LoadGuard, SizeGuard, TimeGuard
from staffroom.api.server import BODY_BYTES, create_api
from staffroom.app import App
from tests.api_client import BASE, api_client, listening, started

SCENARIOS = "/api/v1/scenarios"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(app) as client:
        yield client


def client_of(api: ASGIApp) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(api, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=BASE)


def with_settings(app: App, **changes: Any) -> App:
    """The same installation, served with other settings."""
    other = App(app.settings.model_copy(update=changes))
    other.vector_ops, other.database = app.vector_ops, app.database
    other.import_runner = app.import_runner
    return other


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    raise ZeroDivisionError


async def test_every_kind_of_response_keeps_a_browser_safe(client: httpx.AsyncClient) -> None:
    kinds = [
        (await client.get("/healthz"), 200),
        (await client.get("/nowhere"), 404),
        (await client.put("/healthz"), 405),
        (await client.get(f"{SCENARIOS}?limit=0"), 422),
        (await client.post(SCENARIOS, content=b"{", headers=JSON), 400),
        (await client.post(SCENARIOS, content=b"x" * (BODY_BYTES + 1), headers=JSON), 413),
        (await client.post(SCENARIOS, content=b"x"), 415),
        (await client.delete(f"{SCENARIOS}/01a20570-d955-7766-8cfa-2ca93b94c40b"), 428),
        (await client.get("/healthz", headers={"Host": "evil.example"}), 421),
        (await client.post(SCENARIOS, json={}, headers={"Origin": "http://evil.example"}), 403),
        (await client.get(f"{SCENARIOS}/"), 307),
        (await client.get("/v1/models"), 200),
    ]
    for response, status in kinds:
        assert response.status_code == status, response.text
        for name, value in SECURITY_HEADERS.items():
            assert response.headers[name] == value
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-request-id"]


def test_the_security_policy_lets_nothing_foreign_in() -> None:
    policy = dict(
        part.strip().split(" ", 1)
        for part in SECURITY_HEADERS["Content-Security-Policy"].split(";")
    )

    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["base-uri"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src", "form-action")} == {
        "'self'"
    }
    assert "unsafe" not in str(policy)


async def test_a_request_keeps_its_id_if_that_is_harmless(client: httpx.AsyncClient) -> None:
    for given, is_kept in (
        ("b7e9-42:x.y_z", True),
        ("a" * 100, True),
        ("a" * 101, False),
        ("two words", False),
        ("{jndi}", False),
        ("schlüssel".encode(), False),
        ("", False),
    ):
        headers: dict[str, Any] = {"X-Request-ID": given}
        response = await client.get("/nowhere", headers=headers)
        found = response.headers["x-request-id"]
        assert (found == given) is is_kept
        assert response.json()["request_id"] == found
    own = [(await client.get("/healthz")).headers["x-request-id"] for _ in range(2)]
    assert own[0] != own[1]


async def test_a_foreign_name_that_points_here_is_not_served(client: httpx.AsyncClient) -> None:
    for host in ("localhost", "localhost:8000", "LocalHost:1", "127.0.0.1", "[::1]", "[::1]:8000"):
        assert (await client.get("/healthz", headers={"Host": host})).status_code == 200, host
    for host in (
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.example:127.0.0.1",
        "127.0.0.2",
        "[::1",
        "::1",
        "localhost, evil.example",
        "",
    ):
        response = await client.get("/healthz", headers={"Host": host})
        assert response.status_code == 421, host
        assert "STAFFROOM_ALLOWED_HOSTS" in response.json()["detail"]


async def test_hosts_that_are_named_are_served(app: App) -> None:
    named = with_settings(app, allowed_hosts=("staffroom.school.example",))
    async with api_client(named) as client:
        for host, status in (
            ("staffroom.school.example", 200),
            ("Staffroom.School.Example:443", 200),
            ("localhost", 200),
            ("school.example", 421),
        ):
            assert (await client.get("/healthz", headers={"Host": host})).status_code == status


async def test_another_sites_page_cannot_change_anything(client: httpx.AsyncClient) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    text = {"Content-Type": "text/plain"}
    for origin in (
        "http://evil.example",
        "null",
        "http://127.0.0.1:9999",
        "http://127.0.0.1:8000.evil.example",
        "http://evil.example@127.0.0.1:8000",
        "http://[evil",
        "file://",
        "127.0.0.1:8000",
    ):
        for headers in (form, text, JSON):
            response = await client.post(
                SCENARIOS,
                content=b'{"description": "x"}',
                headers=headers | {"Origin": origin, "Cookie": "a=b"},
            )
            assert response.status_code == 403, origin
            assert "STAFFROOM_CORS_ORIGINS" in response.json()["detail"]
    assert (await client.get(SCENARIOS)).json()["items"] == []


async def test_the_own_page_may_change_what_it_likes(client: httpx.AsyncClient) -> None:
    for origin, host in (
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("https://localhost", "localhost"),
        ("http://LOCALHOST:8000", "localhost:8000"),
    ):
        headers = {"Origin": origin, "Host": host}
        response = await client.post(SCENARIOS, json={"description": "x"}, headers=headers)
        assert response.status_code in {200, 201}


async def test_another_site_may_not_read_unless_it_is_named(
    client: httpx.AsyncClient, app: App
) -> None:
    site = {"Origin": "https://school.example"}
    asked = site | {"Access-Control-Request-Method": "POST"}
    response = await client.get("/healthz", headers=site)
    assert not [name for name in response.headers if name.startswith("access-control")]
    preflight = await client.options(SCENARIOS, headers=asked)
    assert preflight.status_code == 405
    assert not [name for name in preflight.headers if name.startswith("access-control")]

    async with api_client(with_settings(app, cors_origins=("https://school.example",))) as named:
        read = await named.get("/healthz", headers=site)
        assert read.headers["access-control-allow-origin"] == "https://school.example"
        assert "access-control-allow-credentials" not in read.headers
        preflight = await named.options(SCENARIOS, headers=asked)
        assert preflight.status_code == 200
        assert "POST" in preflight.headers["access-control-allow-methods"]
        written = await named.post(SCENARIOS, json={"description": "x"}, headers=site)
        assert written.status_code == 201
        assert "ETag" in written.headers["access-control-expose-headers"]
        foreign = await named.get("/healthz", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in foreign.headers
        refused = await named.post(
            SCENARIOS, json={"description": "x"}, headers={"Origin": "https://evil.example"}
        )
        assert refused.status_code == 403


async def in_parts(size: int, part: int = 65_536) -> AsyncIterator[bytes]:
    body = b'{"description": "%s"}' % (b"x" * (size - 19))
    assert len(body) == size
    for start in range(0, size, part):
        yield body[start : start + part]


@pytest.mark.parametrize("is_announced", [True, False])
async def test_a_body_may_be_as_large_as_the_limit_and_no_larger(
    client: httpx.AsyncClient, is_announced: bool
) -> None:
    async def status(size: int) -> int:
        headers = JSON | ({"Content-Length": str(size)} if is_announced else {})
        return (await client.post(SCENARIOS, content=in_parts(size), headers=headers)).status_code

    # The text in it is longer than a scenario may be, which is only found out when it is read.
    assert await status(BODY_BYTES) == 422
    assert await status(BODY_BYTES + 1) == 413
    assert (await client.get(SCENARIOS)).json()["items"] == []


async def test_what_announces_too_much_is_refused_unread() -> None:
    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("it was let in")

    reading = False

    async def unread() -> AsyncIterator[bytes]:
        if not reading:
            pytest.fail("it was read")
        yield b""

    async with client_of(SizeGuard(reads, limit=10, limits={"/files": 20})) as client:
        for path, size, status in (("/", 11, 413), ("/files", 21, 413)):
            headers = {"Content-Length": str(size)}
            response = await client.post(path, content=unread(), headers=headers)
            assert response.status_code == status
            assert response.json()["detail"].startswith(f"The body is larger than {size - 1} bytes")


async def test_a_length_that_is_no_number_is_no_defect(client: httpx.AsyncClient) -> None:
    for length in ("²", "-1", "1e9", "٣".encode()):
        headers: dict[str, Any] = JSON | {}
        headers["Content-Length"] = length.encode("latin-1") if isinstance(length, str) else length
        response = await client.post(SCENARIOS, content=in_parts(100), headers=headers)
        assert response.status_code in {200, 201}


async def test_a_body_that_stops_coming_is_408_and_leaves_nothing(app: App) -> None:
    async def stalling() -> AsyncIterator[bytes]:
        yield b'{"description": "half'
        await asyncio.sleep(60)

    api = create_api(app)
    async with started(api), client_of(TimeGuard(api, body_seconds=0.05)) as client:
        response = await client.post(SCENARIOS, content=stalling(), headers=JSON)

        assert response.status_code == 408
        assert response.headers["connection"] == "close"
        assert response.json()["detail"].startswith("No further part of the body came for 0.05 s")
        assert (await client.get(SCENARIOS)).json()["items"] == []


async def test_a_slow_body_that_keeps_coming_is_read(app: App) -> None:
    async def slow() -> AsyncIterator[bytes]:
        for part in (b'{"descr', b'iption"', b': "slow"}'):
            await asyncio.sleep(0.1)
            yield part

    api = create_api(app)
    async with started(api), client_of(TimeGuard(api, body_seconds=0.2)) as client:
        response = await client.post(SCENARIOS, content=slow(), headers=JSON)

    assert response.status_code == 201


async def test_a_large_body_earns_its_request_the_time_that_it_takes() -> None:
    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def coming(part: bytes) -> AsyncIterator[bytes]:
        for _ in range(5):
            await asyncio.sleep(0.05)
            yield part

    async with client_of(TimeGuard(reads, response_seconds=0.1)) as client:
        large = await client.post("/", content=coming(b"x" * 10_000))
        trickling = await client.post("/", content=coming(b"x"))

    assert (large.status_code, trickling.status_code) == (204, 503)


async def test_a_response_that_does_not_begin_is_ended_with_503() -> None:
    ended = asyncio.Event()

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async with client_of(TimeGuard(late, response_seconds=0.05)) as client:
        response = await client.get("/")

    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert response.json()["type"] == "/docs#unavailable"
    assert ended.is_set()


async def test_a_response_that_has_begun_may_take_its_time() -> None:
    async def streaming(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(0.15)
        await send({"type": "http.response.body", "body": b"all of it"})

    async with client_of(TimeGuard(streaming, response_seconds=0.05)) as client:
        assert (await client.get("/")).text == "all of it"


async def test_a_defect_is_not_taken_for_slowness() -> None:
    async with client_of(TimeGuard(broken)) as client:
        assert (await client.get("/")).status_code == 500


async def test_over_capacity_others_are_turned_away_at_once_and_health_is_told(app: App) -> None:
    api = create_api(app)
    go_on = asyncio.Event()
    inside = asyncio.Semaphore(0)

    async def busy(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == SCENARIOS and not go_on.is_set():
            inside.release()
            await go_on.wait()
        await api(scope, receive, send)

    async with started(api), client_of(LoadGuard(busy, at_once=2)) as client:
        working = [asyncio.create_task(client.get(SCENARIOS)) for _ in range(2)]
        for _ in working:
            await asyncio.wait_for(inside.acquire(), 5)

        refused = await client.get(SCENARIOS)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["type"] == "/docs#overloaded"
        assert (await client.get("/v1/models")).status_code == 503
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 200

        go_on.set()
        assert [(await done).status_code for done in working] == [200, 200]
        assert (await client.get(SCENARIOS)).status_code == 200


async def test_streams_that_wait_take_no_place_from_others() -> None:
    go_on = asyncio.Event()
    headers = [(b"content-type", b"text/event-stream; charset=utf-8")]

    async def streaming(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"data: x\n\n"})

    guard = LoadGuard(streaming, at_once=1)
    async with client_of(guard) as client:
        watching = [asyncio.create_task(client.get("/api/v1/x")) for _ in range(5)]
        await asyncio.sleep(0.05)
        go_on.set()
        assert [(await done).status_code for done in watching] == [200] * 5


async def test_a_place_is_free_again_after_a_failure() -> None:
    async with client_of(LoadGuard(broken, at_once=1)) as client:
        for _ in range(3):
            assert (await client.get("/api/v1/x")).status_code == 500


async def test_two_hundred_clients_at_once_are_served_or_told_to_return(app: App) -> None:
    await app.vector_ops.store_scenario("Late", "Pupils come late.")
    async with listening(create_api(app)) as client:
        responses = await asyncio.gather(
            *(client.post("/api/v1/search", json={"query": f"late {n}?"}) for n in range(200))
        )
        after = await client.post("/api/v1/search", json={"query": "late?"})

    assert {response.status_code for response in responses} <= {200, 503}
    assert sum(response.status_code == 200 for response in responses) >= 64
    for response in responses:
        assert response.status_code == 200 or int(response.headers["retry-after"]) >= 1
    assert after.status_code == 200


async def test_large_documents_are_compressed_and_streams_are_not(app: App) -> None:
    await app.vector_ops.store_scenario("Late", "Pupils come late. " * 200)
    async with api_client(app) as client:
        for accepted, encoding in (("gzip", "gzip"), ("identity", None), ("br", None)):
            headers = {"Accept-Encoding": accepted}
            response = await client.get(SCENARIOS, headers=headers)
            assert response.headers.get("content-encoding") == encoding
            assert response.headers["vary"] == "Accept-Encoding"
            assert len(response.json()["items"]) == 1
        small = await client.get("/healthz", headers={"Accept-Encoding": "gzip"})
        assert "content-encoding" not in small.headers
        stream = await client.post(
            "/api/v1/ask",
            json={"question": "Pupils come late, what now?"},
            headers={"Accept": "text/event-stream", "Accept-Encoding": "gzip"},
        )
        assert len(stream.content) > 500
        assert "content-encoding" not in stream.headers


async def test_another_method_is_405_with_those_that_there_are(client: httpx.AsyncClient) -> None:
    scenario = f"{SCENARIOS}/01a20570-d955-7766-8cfa-2ca93b94c40b"
    for method, path, allowed in (
        ("PUT", SCENARIOS, "GET, HEAD, POST"),
        ("POST", scenario, "GET, HEAD, PATCH, DELETE"),
        ("PATCH", f"{SCENARIOS}/facets", "GET, HEAD"),
        ("GET", "/api/v1/search", "POST"),
        ("TRACE", "/healthz", "GET, HEAD"),
        ("OPTIONS", SCENARIOS, "GET, HEAD, POST"),
    ):
        response = await client.request(method, path)
        assert response.status_code == 405, path
        assert response.headers["allow"] == allowed
        assert response.json()["type"] == "/docs#method-not-allowed"


async def test_head_is_get_without_the_body(client: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/openapi.json", SCENARIOS, "/nowhere"):
        get, head = await client.get(path), await client.head(path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        for name in ("content-type", "content-length"):
            assert head.headers.get(name) == get.headers.get(name)


async def test_head_over_a_real_connection_leaves_it_usable(app: App) -> None:
    async with listening(create_api(app)) as client:
        for _ in range(3):
            response = await client.head("/healthz")
            assert (response.status_code, response.content) == (200, b"")
        assert (await client.get("/healthz")).json()["status"] == "ok"


async def test_a_slash_too_many_leads_to_the_right_place(client: httpx.AsyncClient) -> None:
    response = await client.get(f"{SCENARIOS}/?limit=1")

    assert response.status_code == 307
    assert response.headers["location"] == f"{BASE}{SCENARIOS}?limit=1"
    followed = await client.get(f"{SCENARIOS}/?limit=1", follow_redirects=True)
    assert followed.json()["items"] == []


async def test_a_path_writes_no_line_of_its_own_into_the_log(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "staffroom.api.guards")
    async with api_client(app) as client:
        await client.get("/x%0aERROR forged %1b[31mred")

    (line,) = [r.getMessage() for r in caplog.records if r.name == "staffroom.api.guards"]
    assert line.startswith("GET /x%0AERROR%20forged%20%1B%5B31mred 404 ")
