"""The timeline of hospital visits by its definition: all is worked out anew from all messages.

The source is the definition in adt.md, 2.1 to 2.9. Where it is silent, this is what a bed manager
would expect:

 1. "Newest" means recorded last: ties go by the clinical time, then by the hash,
    then by the place of the group in its message.
 2. The normalised message of 2.1 is its text with CR between segments, without blank lines and
    without MSH-7, -10 and -13. Trailing separators are kept.
 3. Where EVN-2 and MSH-7 are no times, the clinical time is the recorded one as well.
 4. The authority is a part of a patient's and of a visit's number: CX.4.1, else CX.4.2, else MSH-4.
 5. A message without a patient, or without PV1-19, PID-18 and PV1-44, says nothing of a visit.
 6. A visit named by PV1-44 is named by that instant, and is not reused by another patient.
 7. Visits that are cancelled or entered in error do not make a number a reused one.
 8. An empty PV1-3 keeps the bed, an empty PV1-2 the class; null in PV1-3 ends the row of the bed.
 9. A02 and A17 take the class before them; where there is none, their own PV1-2.
10. A cancel voids all facts of its kind with its target's time, so that no older copy returns. It
    looks for the exact time among all facts, else only among those that are not void yet.
11. Cancels act in the order of recording. "A11 leaves no admission" is judged by what was recorded
    no later than it; discharges and leaves from the cancelled time on are then void as well.
12. A38, A52 and A53 without an exact target cancel the newest fact of their kind.
13. A13 places the patient only where it has met a discharge; where no bed is known, too.
14. A deletion takes all that was recorded no later than it; what is recorded later stands.
15. A visit has an encounter if an admission, a plan, a placing, a discharge or a leave was told,
    void or not. If only moves or discharges of it are void, it is in progress.
16. The admission of an encounter is the earliest that stands, else the first PV1-44 that is told.
17. A disposition, and a discharge time, is the newest that an A03 in force told, or an A08 or A31
    recorded after one. Null in PV1-44 or PV1-45 is ignored.
18. A corrected PV1-44 is the beginning of the first row, if an admission began it; no row begins
    before it.
19. A17 as the first fact infers a row as A02 does: why else would its prior bed be defined? A row
    that is inferred before A06 or A07 has no class.
20. A moved patient (all placing facts, A01 too) dated after the discharge is an anomaly.
21. A double booking needs a bed (PL.3) and two patients; changes of class do not split it. Each of
    the two has a row. Two newborns of one mother are none either.
22. A43 is an alias. A35, A41 and A49 rename accounts, A42 and A50 visits, within the surviving
    patient of PID-3. Accounts and visits share their numbers, as in the key of a visit.
23. A44 and A45 move to PID-18 and PV1-19, or keep the number where these are empty.
24. Where both patients of such a move are one by aliases, it binds the visit to the number in
    PID-3, unless an alias from there is newer. Else it goes to the survivor of PID-3. A merge of
    MRG-1 that follows the move does not take the visit with it.
25. If the newest alias of a number is dropped, its older ones stay superseded.
26. Anomalies of messages have the clinical time as start; only times that are used can be invalid
    or ambiguous. An anomaly is one row, however often it is said.
27. The state of a bed is that of its latest clinical time.
28. Results of a person who is deleted are entered in error, if they were recorded no later than the
    deletion and nothing newer is told of the same observation (results.py).
29. There is no horizon here; charset_mismatch, count_mismatch and sequence_gap are not of visits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, tzinfo

from connectors.hl7.message import Message
from tests.reference.adt.keys import Keys
from tests.reference.adt.over_all import double_bookings, reused
from tests.reference.adt.rows import Row, bed_rows, location_row, table
from tests.reference.adt.said import listen
from tests.reference.adt.terms import Said
from tests.reference.adt.visit import Visit


@dataclass
class Timeline:
    """The tables, each in an order that only its content decides."""

    location_visits: list[Row]
    encounters: list[Row]
    anomalies: list[Row]
    beds: list[Row]


def timeline(messages: Iterable[Message], zone: tzinfo = UTC) -> Timeline:
    """Return the timeline of a domain; ``zone`` counts where a message names none."""
    said = Said()
    for message in messages:
        listen(message, zone, said)
    keys = Keys(said)
    visits = [Visit(key, facts, keys.deletions(key)) for key, facts in keys.visits().items()]
    stays = [stay for visit in visits for stay in visit.stays]
    anomalies = [
        *(row for visit in visits for row in visit.anomalies()),
        *double_bookings(stays, keys.mothers()),
        *reused(visits),
        *keys.anomalies(),
    ]
    return Timeline(
        location_visits=table(map(location_row, stays)),
        encounters=table(visit.encounter() for visit in visits if visit.told),
        anomalies=table(anomalies),
        beds=table(bed_rows(said.beds)),
    )
