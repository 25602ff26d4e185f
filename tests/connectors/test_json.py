"""What is JSON decides the RFC, not the limits of a library."""

from __future__ import annotations

import json
import math
import pickle
import random
from typing import Any

import orjson
import pytest

from connectors.json import MAX_DEPTH, _read, _tokens, parse_json
from state.errors import Malformed

DEEP = "[" * 2000 + "]" * 2000
ODD = {
    "digits": "9" * 5000,
    "brackets": DEEP,
    "braces": '{"a":' * 2000 + "1" + "}" * 2000,
    "a double's limit": "1e400",
    "a long fraction": "0." + "3" * 5000,
}


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
def test_a_field_that_nobody_reads_decides_nothing(value):
    fields = parse_json(f'{{"ignored": {value}, "symbol": "A\\u00e9", "price": 1.5}}'.encode())
    assert (fields["symbol"], fields["price"]) == ("Aé", 1.5)


@pytest.mark.parametrize("depth", [99, 100, 101, 500, 1000, 3000])
def test_what_is_read_can_be_pickled_and_written(depth):
    """A snapshot that cannot be pickled stops a flow for good."""
    value = '{"x": ' + '{"a":[' * (depth // 2) + "1" + "]}" * (depth // 2) + ', "y": 2}'
    fields = parse_json(value.encode())
    assert pickle.loads(pickle.dumps(fields)) == fields
    assert orjson.loads(orjson.dumps(fields)) == fields
    assert fields["y"] == 2
    if depth < MAX_DEPTH:
        assert fields == json.loads(value)


def test_a_number_beyond_the_doubles_is_an_infinity():
    fields = parse_json(b'{"a": 1e400, "b": -1e400, "c": [1e400], "d": 18446744073709551616}')
    assert fields == {"a": math.inf, "b": -math.inf, "c": [math.inf], "d": 2.0**64}


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", "{", "[1e400", "[1e400]]", "{]", "[}", '{"a" 1e400}', "{1e400: 1}", "[1e400,]"),
        *('{"a": 1e400,}', "[01, 1e400]", "[+1, 1e400]", "[1., 1e400]", "[NaN, 1e400]", "1e400 2"),
        *('["\\ud800", 1e400]', '["\\x", 1e400]', '["\n", 1e400]', "[tru, 1e400]", DEEP[:-1]),
    ],
)
def test_what_is_no_json_is_malformed(value):
    with pytest.raises(Malformed, match="no JSON, from character"):
        parse_json(value.encode())


@pytest.mark.parametrize("value", ["[1e400]", "1e400", DEEP])
def test_what_is_no_object_is_malformed(value):
    with pytest.raises(Malformed, match="not an object"):
        parse_json(value.encode())


def made(rng: random.Random, depth: int = 0) -> Any:
    """Return a random value."""
    match rng.randrange(9 if depth < 4 else 6):
        case 0:
            return rng.choice([None, True, False])
        case 1:
            return rng.choice([0, 1, -1, 10**9, 2**63 - 1, 2**64 - 1])
        case 2:
            return rng.choice([0.5, -1e-300, 1e300, 1e22, 0.0, -0.0])
        case 3 | 4 | 5:
            letters = 'ab"\\\n\u1234é\U0001f600 {}[],:'
            return "".join(rng.choice(letters) for _ in range(rng.randrange(5)))
        case 6:
            return [made(rng, depth + 1) for _ in range(rng.randrange(4))]
        case _:
            return {str(made(rng, 5)): made(rng, depth + 1) for _ in range(rng.randrange(4))}


def spoilt(rng: random.Random, text: bytes) -> bytes:
    """Return the text with up to two of its bytes taken away, changed or added."""
    data = bytearray(text)
    for _ in range(rng.randrange(3)):
        place = rng.randrange(len(data) + 1)
        data[place : place + rng.randrange(2)] = [
            rng.choice(b'{}[],:"\\0123eE+-.tfnu \x80\xed\x1f')
        ]
    return bytes(data)


def read(text: bytes) -> tuple[bool, str]:
    try:
        return True, repr(_read(_tokens(text)))
    except ValueError:
        return False, ""


def expected(text: bytes) -> tuple[bool, str]:
    try:
        return True, repr(orjson.loads(text))
    except orjson.JSONDecodeError:
        return False, ""


def test_the_slow_reader_equals_the_library_within_its_limits():
    rng = random.Random(16)
    good = 0
    for _ in range(4000):
        text = json.dumps(made(rng), ensure_ascii=rng.random() < 0.5).encode()
        text = spoilt(rng, text)
        found = read(text)
        if "inf" in found[1]:
            continue
        assert found == expected(text), text
        good += found[0]
    assert 1000 < good < 3000
