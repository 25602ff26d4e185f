"""What a resource is called: an address that stays, and shows neither a patient nor a number.

A resource is known by a keyed hash of its key (`state.sealing.Seal.fingerprint`): the address
``urn:uuid:…`` is its ``fullUrl`` in a bundle, and its identifier by which a server finds it again.
So what a server logs of a request's address tells nobody who it was about.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from operators.adt.fhir.codes import TERMINOLOGY, authority, concept

Resource = dict[str, Any]
Entry = dict[str, Any]
Hashed = Callable[[str, bytes], bytes]
"""(what for, bytes) -> 16 bytes that only who has the keys can tell."""
KNOWN = 65_536
"""How many addresses are not made again."""
URI = "urn:ietf:rfc:3986"
"""The system of identifiers that are addresses themselves (FHIR R4, "Identifier")."""


class Names:
    """Names resources, and makes the entries of a transaction."""

    def __init__(self, hashed: Hashed) -> None:
        self._hashed = hashed
        # A patient, a bed or a doctor is named again and again, and a keyed hash takes time.
        self.url = lru_cache(KNOWN)(self._url)

    def _url(self, kind: str, key: str) -> str:
        """Return the address of a resource: a UUID of version 8 (RFC 9562)."""
        number = int.from_bytes(self._hashed(f"fhir.{kind}", key.encode()))
        number = number & ~(0xF << 76) & ~(0x3 << 62) | 8 << 76 | 2 << 62
        digits = f"{number:032x}"
        parts = digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]
        return f"urn:uuid:{'-'.join(parts)}"

    def put(self, key: str, resource: Resource) -> Entry:
        """Return an entry that makes a resource be so, whether the server has it or not."""
        url, kind = self.url(resource["resourceType"], key), resource["resourceType"]
        request = {"method": "PUT", "url": f"{kind}?{_query(url)}"}
        return _entry(url, resource, request)

    def make(self, key: str, resource: Resource) -> Entry:
        """Return an entry that adds a resource where the server has none of its name."""
        url, kind = self.url(resource["resourceType"], key), resource["resourceType"]
        request = {"method": "POST", "url": kind, "ifNoneExist": _query(url)}
        return _entry(url, resource, request)

    def provenance(self, target: Entry, record: dict[str, Any], recorded: str) -> Entry:
        """Return an entry that tells of which messages a resource was made.

        A Provenance never changes and has no identifier, so its name is a tag.
        """
        url = self.url("Provenance", f"{target['fullUrl']}|{record['id']}")
        resource: Resource = {
            "resourceType": "Provenance",
            "meta": {"tag": [{"system": URI, "code": url}]},
            "target": [{"reference": target["fullUrl"]}],
            "recorded": recorded,
            "agent": [
                {
                    "type": concept(f"{TERMINOLOGY}provenance-participant-type", "assembler"),
                    "who": {"display": "Headrace"},
                }
            ],
            "entity": [
                {"role": "source", "what": {"identifier": {"system": MESSAGE, "value": where}}}
                for where in record["because"]
            ],
        }
        request = {"method": "POST", "url": "Provenance", "ifNoneExist": f"_tag={_token(url)}"}
        return {"fullUrl": url, "resource": _filled(resource), "request": request}


MESSAGE = "urn:headrace:message"
"""The system of the places of messages: topic:partition:offset."""


def number(text: str, domain: str, kind: str) -> dict[str, Any]:
    """Return the identifier of ``id^^^authority``; ``kind`` is its type (table 0203)."""
    value, _, rest = text.partition("^")
    system = authority(unescaped(rest.lstrip("^")), unescaped(domain))
    return {
        "type": concept(f"{TERMINOLOGY}v2-0203", kind),
        "system": system,
        "value": unescaped(value),
    }


def unescaped(part: str) -> str:
    """Return a part of a key as it was sent (`connectors.adt.reader.part`)."""
    return part.replace("\\S\\", "^").replace("\\F\\", "|")


def _query(url: str) -> str:
    return f"identifier={_token(url)}"


def _token(url: str) -> str:
    return f"{URI}%7C{url}"


def _entry(url: str, resource: Resource, request: dict[str, str]) -> Entry:
    identifiers = [{"system": URI, "value": url}, *resource.get("identifier", ())]
    return {
        "fullUrl": url,
        "resource": _filled(resource | {"identifier": identifiers}),
        "request": request,
    }


def _filled(resource: Resource) -> Resource:
    """Return a resource without what it has not: FHIR knows neither null nor empty lists."""
    return {name: value for name, value in resource.items() if value not in (None, [], {}, "")}
