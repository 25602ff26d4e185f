"""Wrong rules of the census, and of what an encounter says of wards."""

from __future__ import annotations

from tests.operators.adt.mutants import Mutant

CENSUS, REPORT = "operators.adt.census", "operators.adt.report"
CENSUS_RULES = {
    "a move within a ward leaves it": Mutant(
        CENSUS, "if joins and found and found[-1].ward == ward:", "if False:"
    ),
    "who comes back to a ward was there meanwhile": Mutant(
        CENSUS, "if joins and found and found[-1]", "if found and found[-1]"
    ),
    "who is moved to no place has left": Mutant(
        CENSUS, "found[-1].end_ns == discharged_ns:", "found[-1].end_ns is not None:"
    ),
    "wards of two facilities are one": Mutant(
        CENSUS, 'f"{ward}^^^{rest[2]}" if len(rest) > 2 else ward', "ward"
    ),
    "any inpatient boards": Mutant(
        CENSUS, "classes == (EMERGENCY, INPATIENT)", "classes[1] == INPATIENT"
    ),
    "boarding goes on in the next bed": Mutant(CENSUS, "before.location == row.location and", ""),
    "a wait that went before is forgotten": Mutant(
        CENSUS, "boarding=last.boarding + boarding", "boarding=boarding"
    ),
    "who leaves at the end of a window leaves in it": Mutant(
        CENSUS, "end_ns < stop_ns\n", "end_ns <= stop_ns\n"
    ),
    "who comes at the begin of a window came before": Mutant(
        CENSUS, "presence.start_ns >= start_ns", "presence.start_ns > start_ns"
    ),
    "a wait that ends with a window is over in it": Mutant(
        CENSUS, "span[1] >= stop_ns", "span[1] > stop_ns"
    ),
    "who leaves is there at the end": Mutant(CENSUS, "occupied=int(not leaves)", "occupied=1"),
    "a stay counts before its window": Mutant(CENSUS, "max(span[0], start_ns)", "span[0]"),
    "a stay counts behind its window": Mutant(CENSUS, "min(span[1], stop_ns)", "span[1]"),
    "an admission counts in each window": Mutant(
        CENSUS, "int(comes and presence.admitted)", "int(presence.admitted)"
    ),
    "a transfer is an admission": Mutant(
        CENSUS, "admissions=int(comes and presence.admitted)", "admissions=int(comes)"
    ),
    "a transfer is a discharge": Mutant(
        CENSUS, "discharges=int(leaves and presence.discharged)", "discharges=int(leaves)"
    ),
    "a discharge counts in the window before": Mutant(
        CENSUS, "min(until - 1, end_ns // length)", "min(until - 1, (end_ns - 1) // length)"
    ),
    "a correction begins where the later stay ends": Mutant(
        CENSUS, "return min(ends_ns) if same", "return max(ends_ns) if same"
    ),
    "a correction begins with the later stay": Mutant(
        CENSUS, "else min(one.start_ns, two.start_ns)", "else max(one.start_ns, two.start_ns)"
    ),
    "a correction begins with the last stay": Mutant(
        CENSUS, "longer[min(len(before), len(after))]", "longer[-1]"
    ),
    "a window less is kept": Mutant(
        CENSUS, "else self.clock - self._kept", "else self.clock - self._kept + 1"
    ),
    "a window more is kept": Mutant(
        CENSUS, "else self.clock - self._kept", "else self.clock - self._kept - 1"
    ),
    "no correction says that it is one": Mutant(
        CENSUS, "None if before == NOBODY else before", "None"
    ),
    "a leap of the clock tells every hour": Mutant(
        CENSUS, "else max(self.clock, now - self._kept)", "else self.clock"
    ),
    "what is too old is corrected": Mutant(CENSUS, "else max(self.oldest, since)", "else since"),
    "a start forgets who is there": Mutant(
        CENSUS, "        self._visits[key] = where\n", "        pass\n"
    ),
    "an hour is told before it is over": Mutant(
        CENSUS, "now = recorded_ns // self._window_ns", "now = recorded_ns // self._window_ns + 1"
    ),
    "a visit taken back is still counted": Mutant(
        CENSUS, "((before, -1), (after, 1))", "((after, 1),)"
    ),
    "an hour in which nobody was stays": Mutant(REPORT, "if after == NOBODY:", "if False:"),
    "a correction tells no difference": Mutant(
        REPORT, "after.occupied - before.occupied", "after.occupied"
    ),
    "times are in nanoseconds": Mutant(
        REPORT, 'row.pop("patient_ns") // NS', 'row.pop("patient_ns")'
    ),
    "a wait that lasts is boarding": Mutant(
        REPORT,
        "sum(_seconds(*span) or 0 for span in spans)",
        "sum(_seconds(*span) or 1 for span in spans)",
    ),
    "each row is a transfer": Mutant(
        REPORT,
        "sum(one.location != two.location for one, two in pairwise(shown.rows))",
        "len(shown.rows) - 1",
    ),
}
