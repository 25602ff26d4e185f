"""The contests of `headrace bench risk`, in a process of its own.

Its environment lets numpy's matrix products have one thread, which is read when numpy is imported:
both sides have one core and one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks import child
from benchmarks.machine import pin, settle
from benchmarks.market import risk_methods, risk_monte_carlo, risk_signals
from benchmarks.market.risk_contest import Contest, measured

ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")

CHECKED = 3
"""After how many calls both sides of a contest are compared."""


def contests(part: str, assets: int, window: int) -> list[Contest]:
    """Return the contests of a part."""
    makers: dict[str, Callable[[], list[Contest]]] = {
        "a": lambda: risk_methods.updates(risk_methods.Market(assets, window)),
        "b": lambda: risk_methods.revaluations(risk_methods.Market(assets, window)),
        "c": risk_signals.per_tick,
        "d": risk_signals.per_block,
        "e": risk_monte_carlo.contests,
    }
    return makers[part]()


def main(job: dict[str, Any]) -> None:
    """Say what each contest of the job's parts took, part by part."""
    pin(job["core"])
    for part in job["parts"]:
        made = contests(part, job["assets"], job["window"])
        for contest in made if part != "e" else ():  # its numbers are random
            contest.check(min(CHECKED, contest.calls - 1))
        settle()
        child.say({"part": part, "contests": measured(made, job["rounds"])})


if __name__ == "__main__":
    child.start(main)
