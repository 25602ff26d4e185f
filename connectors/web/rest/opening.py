"""Secret outputs in clear, for those who may unseal them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from connectors.web.channels import Source
from connectors.web.rest.operation import Call
from connectors.web.tokens import UNSEAL
from state.errors import CannotUnseal

LOG = logging.getLogger("headrace.feed")


def seen_by(call: Call, source: Source) -> Source:
    """Return an output as who asks may see it: a secret one in clear, or as it is."""
    if call.parts.seal is None or not source.output.secret or not call.access.may(UNSEAL):
        return source
    return source.opened()


def in_clear(call: Call, source: Source, values: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the records of an output as `seen_by` returned it; what does not open is left out."""
    if call.parts.seal is None or source is call.parts.catalog.sources[source.name]:
        yield from values
        return
    failed: CannotUnseal | None = None
    for value in values:
        try:
            yield call.parts.seal.unseal(source.name, value)
        except CannotUnseal as error:
            failed = error
    if failed is not None:
        LOG.error("%s", failed)
