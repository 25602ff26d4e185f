"""What holds for every route: problems, access, headers, limits; no server behind it."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import re
import socket

import httpx2
import pytest

from connectors.web.limits import Limits
from connectors.web.rest.bulk import JSON, outcome
from connectors.web.rest.middleware import SECURITY
from connectors.web.rest.operation import Operation
from connectors.web.rest.pages import CHARTS_SHA256, PAGE
from flows.engine.systems import declared_outputs
from tests.connectors.web.rest.rig import OPERATIONS, Issuer, expect_problem, serving, settings
from tests.waiting import PATIENCE_S

VALUES = {
    "system": "market",
    "output": "bars",
    "field": "symbol",
    "topic": "market.ticks",
    "partition": "0",
    "offset": "1",
    "sequence": "0",
    "ward": "4W",
    "export": "0" * 32,
    "type": "Patient",
}
CLOSED = [operation for operation in OPERATIONS if not operation.open]


def name(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def path(operation: Operation) -> str:
    return operation.path.format(**VALUES)


def expect_refusal(operation: Operation, answer: httpx2.Response, status: int) -> None:
    """Check that an answer is a problem, or says the same as FHIR does."""
    if operation.told is not outcome:
        expect_problem(answer, status)
        return
    assert (answer.status_code, answer.headers["content-type"]) == (status, JSON)
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    return Issuer(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def guarded(issuer):
    with serving(settings(), issuer.tokens) as client:
        yield client


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page's directory, beside a file that is nobody's business and is linked to."""
    directory = tmp_path_factory.mktemp("pages")
    (directory / "secret.txt").write_text("nobody's business")
    page = directory / "page"
    (page / "parts").mkdir(parents=True)
    (page / "index.html").write_text("<!doctype html><title>page</title><!-- head -->")
    (page / "wards").mkdir()
    (page / "wards" / "tab.js").write_text("export const open = () => [];")
    (page / "wards" / "bar.js").write_text('import { x } from "../parts/feed.js";\n')
    (page / "parts" / "feed.js").write_text("export const x = 1;")
    (page / "link.txt").symlink_to(directory / "secret.txt")
    return page


@pytest.fixture(scope="module")
def anyone(page):
    with serving(settings(), page=page) as client:
        yield client


def test_a_path_that_is_not_there_is_a_problem(anyone):
    expect_problem(anyone.get("/api/v1/nothing"), 404)
    expect_problem(anyone.get("/api/v1/latest/market/nothing"), 404, "output")
    expect_problem(anyone.get("/api/v1/latest/nothing/bars"), 404, "system")
    expect_problem(anyone.get("/api/v1/latest/trading/bars"), 404, "output")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "POST"])
def test_a_method_that_is_not_there_names_those_that_are(anyone, method):
    answer = anyone.request(method, "/api/v1/recordings")
    expect_problem(answer, 405)
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize("operation", CLOSED, ids=name)
def test_no_route_is_served_without_a_token(guarded, operation):
    answer = guarded.request(operation.method, path(operation))
    expect_refusal(operation, answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("operation", CLOSED, ids=name)
def test_no_route_is_served_with_scopes_of_others(guarded, issuer, operation):
    header = issuer.header("read:market.nothing write:nothing")
    answer = guarded.request(operation.method, path(operation), headers=header)
    expect_refusal(operation, answer, 403)
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("operation", CLOSED, ids=name)
def test_no_route_is_served_to_rows_that_it_does_not_have(guarded, issuer, operation):
    scopes = "read:*.* write:portfolios control dead:read dead:retry health recordings"
    header = issuer.header(scopes, rows={"tenant": ["acme"]})
    answer = guarded.request(operation.method, path(operation), headers=header)
    expect_refusal(operation, answer, 403)


def test_a_token_that_has_expired_or_was_altered_is_refused(guarded, issuer):
    good = issuer.header("recordings")
    assert guarded.get("/api/v1/recordings", headers=good).status_code == 200
    for header in (
        issuer.header("recordings", seconds=-1),
        issuer.header("recordings", aud="other"),
        {"Authorization": good["Authorization"][:-6] + "AAAAAA"},
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic YTpi"},
    ):
        answer = guarded.get("/api/v1/recordings", headers=header)
        assert header["Authorization"][7:] not in json.dumps(expect_problem(answer, 401))


def test_access_is_logged_without_the_token(guarded, issuer, caplog):
    caplog.set_level(logging.INFO, "headrace.access")
    header = issuer.header("recordings", sub="eve")
    guarded.get("/api/v1/recordings", headers=header)
    guarded.get("/api/v1/health", headers=header)
    lines = [r.getMessage() for r in caplog.records if r.name == "headrace.access"]
    granted, refused = (json.loads(line) for line in lines)
    assert (granted["sub"], granted["allowed"]) == ("eve", True)
    assert granted["what"] == "GET /api/v1/recordings"
    assert (refused["sub"], refused["allowed"]) == ("eve", False)
    assert not any(header["Authorization"][7:] in line for line in lines)


def test_every_answer_has_the_security_headers(anyone):
    for asked in ("/", "/live", "/nothing", "/api/v1/recordings", "/static/lightweight-charts.js"):
        answer = anyone.get(asked)
        for header, value in SECURITY.items():
            assert answer.headers[header] == value, asked
    assert "frame-ancestors 'none'" in SECURITY["Content-Security-Policy"]
    directives = SECURITY["Content-Security-Policy"].split("; ")
    assert "connect-src 'self'" in directives
    assert not [each for each in directives if "unsafe" in each or ":" in each]


def test_pages_of_other_origins_may_not_write(anyone):
    asked = {"account": "*"}
    answer = anyone.post(
        "/api/v1/trading/kill", json=asked, headers={"Origin": "https://elsewhere.example"}
    )
    expect_problem(answer, 403, "Origin")


def test_a_page_that_the_settings_name_may_write():
    with serving(settings(origins=("https://desk.example",))) as client:
        headers = {"Origin": "https://desk.example"}
        answer = client.post("/api/v1/trading/kill", json={}, headers=headers)
        expect_problem(answer, 400, "account")
        assert answer.headers["access-control-allow-origin"] == "https://desk.example"
        asked = {"Access-Control-Request-Method": "POST"}
        before = client.options("/api/v1/trading/kill", headers=headers | asked)
        assert before.status_code == 200
        other = client.get("/live", headers={"Origin": "https://other.example"})
        expect_problem(other, 403, "Origin")
        assert "access-control-allow-origin" not in other.headers


def test_without_authentication_only_loopback_names_are_served(anyone, guarded, issuer):
    headers = {"Host": "rebound.example"}
    expect_problem(anyone.get("/api/v1/recordings", headers=headers), 403, "Host")
    good = issuer.header("recordings") | headers
    assert guarded.get("/api/v1/recordings", headers=good).status_code == 200


def test_a_body_that_is_too_large_is_not_read(anyone):
    limit = Limits().message_bytes
    answer = anyone.post("/api/v1/portfolios", content=b"x" * (limit + 1))
    assert str(limit) in expect_problem(answer, 413)["detail"]

    def pieces():
        for _ in range(limit // 1024 + 1):
            yield b"x" * 1024

    expect_problem(anyone.post("/api/v1/portfolios", content=pieces()), 413)


def test_a_client_that_asks_too_often_is_told_so():
    with serving(settings(), limits=Limits(requests_per_second=5)) as client:
        answers = [client.get("/api/v1/recordings") for _ in range(12)]
        assert [a.status_code for a in answers[:5]] == [200] * 5
        late = next(a for a in answers if a.status_code != 200)
        expect_problem(late, 429)
        assert late.headers["retry-after"] == "1"
        assert client.get("/live").status_code == 200


@pytest.mark.parametrize(
    "asked",
    [
        b"/static/../secret.txt",
        b"/static/%2e%2e/secret.txt",
        b"/static/..%2fsecret.txt",
        b"/static/parts/../../secret.txt",
        b"/static/..\\secret.txt",
        b"/static/link.txt",
        b"/static/%00",
        b"/static//etc/passwd",
        b"/static/%2fetc%2fpasswd",
        b"/static/parts",
    ],
)
def test_no_path_leads_out_of_the_static_files(anyone, asked):
    url = anyone.base_url
    with socket.create_connection((url.host, url.port), timeout=PATIENCE_S) as raw:  # sent as it is
        raw.sendall(b"GET %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % asked)
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 404 "), answer[:200]
    assert b"application/problem+json" in answer
    assert b"nobody's business" not in answer


def test_the_page_and_its_files_are_served_and_revalidated(anyone):
    for asked, kind in (("/", "text/html"), ("/static/parts/feed.js", "text/javascript")):
        answer = anyone.get(asked)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
        assert answer.headers["cache-control"] == "private, no-cache"
        again = anyone.get(asked, headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304


def test_the_tabs_of_systems_are_found_by_their_path(anyone):
    assert '<meta name="tabs" content="wards">' in anyone.get("/").text
    assert '<meta name="bars" content="wards">' in anyone.get("/").text
    assert sorted(path.parent.name for path in PAGE.glob("*/tab.js")) == ["adt", "market"]


def test_the_page_is_told_of_every_output(anyone):
    told = {each["name"]: each for each in anyone.get("/static/outputs.json").json()}
    assert list(told) == [output.topic for output in declared_outputs()]
    assert told["adt.location_visits"]["key"] == ["visit", "patient", "domain"]
    assert told["adt.location_visits"]["columns"]["stays"] == "document"


def test_the_script_of_the_charts_is_the_one_that_was_looked_at(anyone):
    answer = anyone.get("/static/lightweight-charts.js")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert hashlib.sha256(answer.content).hexdigest() == CHARTS_SHA256
    again = anyone.get(
        "/static/lightweight-charts.js", headers={"If-None-Match": answer.headers["etag"]}
    )
    assert again.status_code == 304


def test_the_page_names_the_modules_that_its_head_needs(anyone):
    found = re.findall('rel="modulepreload" href="([^"]+)"', anyone.get("/").text)
    assert found == ["/static/wards/bar.js", "/static/parts/feed.js"]


@pytest.mark.parametrize("asked", ["/static/lightweight-charts.js", "/openapi.json"])
def test_what_is_large_comes_compressed_and_is_revalidated(anyone, asked):
    with anyone.stream("GET", asked, headers={"Accept-Encoding": "gzip"}) as answer:
        packed = b"".join(answer.iter_raw())
    plain = anyone.get(asked, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert "Accept-Encoding" in answer.headers["vary"]
    assert answer.headers["content-encoding"] == "gzip"
    assert len(packed) < len(plain.content) / 2
    assert gzip.decompress(packed) == plain.content
    again = anyone.get(asked, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


def test_a_parameter_that_is_unknown_or_there_twice_is_named(anyone):
    expect_problem(anyone.get("/api/v1/recordings?x=1"), 400, "x")
    expect_problem(anyone.get("/api/v1/latest/market/bars?symbol=A&symbol=B"), 400, "symbol")
    expect_problem(anyone.get("/api/v1/dead/market?limit=0"), 400, "limit")
    expect_problem(anyone.get("/api/v1/dead/market?limit=many"), 400, "limit")


def test_what_needs_a_server_that_is_down_says_which(anyone):
    for asked, server in (
        ("/api/v1/latest/market/bars", "Redis"),
        ("/api/v1/trading/state", "Redis"),
        ("/ready", "Redis"),
        ("/api/v1/history/market/bars", "PostgreSQL"),
    ):
        answer = anyone.get(asked)
        assert server in expect_problem(answer, 503)["detail"]
        assert answer.headers["retry-after"]
    assert anyone.get("/live").json() == {"live": True}


def test_head_is_answered_like_get_without_a_body(anyone):
    answer = anyone.head("/api/v1/recordings")
    assert answer.status_code == 200
    assert answer.content == b""
