"""What a transaction of ours has to be: the models of R4B, and rules that no model holds.

The rules are FHIRPath, from the specification: obs-6, obs-7, con-3, con-5, and that what is
recorded is an instant. Periods (per-1) are compared here, since fhirpathpy takes 08:00:00.5 for
earlier than 08:00:00.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

import fhirpathpy
from fhir.resources.R4B.bundle import Bundle
from fhirpathpy.models import models

WRONG = "verificationStatus.coding.where(code = 'entered-in-error')"
SAME = "code.coding.intersect(%resource.code.coding).exists()"
RULES = {
    "Encounter": [
        "location.all(location.reference.exists())",
        "subject.reference.exists()",
        "meta.security.where(code = 'R').exists() = hospitalization.specialCourtesy.exists()",
    ],
    "Patient": ["link.all(other.reference.exists() and type.exists())"],
    "Observation": [
        "dataAbsentReason.empty() or value.empty()",
        f"value.empty() or component.where({SAME}).empty()",
        "code.exists()",
    ],
    "Condition": [
        "clinicalStatus.exists() or " + WRONG + ".exists()",
        "clinicalStatus.empty() or " + WRONG + ".empty()",
        "subject.exists()",
    ],
    "Provenance": [
        r"recorded.toString().matches('^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d([.]\\d+)?Z$')",
        "target.exists() and agent.exists()",
        "entity.all(role = 'source')",
    ],
}


def check(bundle: dict[str, Any]) -> None:
    """Raise where a bundle is no transaction that a server could take."""
    Bundle.model_validate(bundle)
    urls = [entry["fullUrl"] for entry in bundle["entry"]]
    assert len(urls) == len(set(urls)), "a resource is twice in a transaction"
    for reference in found(bundle, "reference"):
        assert reference in urls, f"{reference} is not in the bundle"
    for period in found(bundle, "period"):
        start, end = period.get("start"), period.get("end")
        assert not (start and end) or _time(start) <= _time(end), f"{period} ends before it starts"
    for entry in bundle["entry"]:
        _check_request(entry)
        resource = entry["resource"]
        for rule in RULES.get(resource["resourceType"], ()):
            assert compiled(rule)(resource) == [True], f"{rule}: {resource}"


def found(value: Any, name: str) -> list[Any]:
    """Every field of this name in a value."""
    if isinstance(value, list):
        return [each for item in value for each in found(item, name)]
    if not isinstance(value, dict):
        return []
    own = [value[name]] if name in value else []
    return own + [each for item in value.values() for each in found(item, name)]


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _check_request(entry: dict[str, Any]) -> None:
    request, resource = entry["request"], entry["resource"]
    kind, token = resource["resourceType"], f"urn:ietf:rfc:3986%7C{entry['fullUrl']}"
    if request["method"] == "PUT":
        assert request["url"] == f"{kind}?identifier={token}"
    else:
        assert request["method"] == "POST"
        assert request["url"] == kind
        assert request["ifNoneExist"] in (f"identifier={token}", f"_tag={token}")


@cache
def compiled(rule: str) -> Any:
    """A rule as a function of a resource."""
    return fhirpathpy.compile(rule, models["r4"])
