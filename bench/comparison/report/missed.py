"""Every row in which epush does not reach its own bar."""

from ..records import Records
from . import bar
from .table import number
from .wins import case_words, duels


def all_of(records: Records) -> list[str]:
    """A line for each."""
    return [line for one in bar.ALL for case in cases(records, one.work) for line in of_case(records, one, case)]


def cases(records: Records, work: str) -> list[dict]:
    found = {tuple(sorted(row.case.items())) for row in records.of(work, "epush")}
    return [dict(case) for case in sorted(found, key=lambda case: [(name, str(type(value)), value) for name, value in case])]


def of_case(records: Records, one: bar.Ratio | bar.Limit | bar.BelowPeers, case: dict) -> list[str]:
    where = case_words(case)
    if isinstance(one, bar.BelowPeers):
        if not records.spread(records.of(one.work, "epush", **case), one.figure):
            return [f"{one.words}: not known, it could not be measured ({where})"]
        duel_words = ((duel, f"{number(duel.ours)}, {duel.peer} {number(duel.theirs)}") for duel in duels(records, one.work, one.figure, case))
        return [f"{one.words}: {words} ({where}{duel.remark})" for duel, words in duel_words if duel.ours >= duel.theirs]
    if isinstance(one, bar.Limit):
        found, most = records.spread(records.of(one.work, "epush", **case), one.figure), one.most
        words = f"{number(found.middle)}, to be at most {most:g}" if found else "not known, it could not be measured"
    else:
        found, most = records.ratio(one.work, "epush", "floor", one.figure, **case), one.most(case)
        words = f"{found.middle:.2f} × the floor, to be at most {most:.2f}" if found else "not known, the floor was not measured beside it"
    # Without a number nothing is reached.
    is_missed = most is not None and (found is None or found.middle > most)
    return [f"{one.words}: {words} ({where})"] if is_missed else []
