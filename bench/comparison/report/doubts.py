"""What a reader has to know before believing a number."""

from ..records import Records

#: Kinds of doubt told, at most: the raw results have all.
SHOWN_MAX = 20


def all_of(records: Records) -> list[str]:
    """Failed measurements, and those the load generator says measured itself."""
    lines = {}
    for row in records.rows:
        where = f"{row.server}, {row.work} " + ", ".join(f"{key} {value}" for key, value in row.case.items())
        for words in [row.failed] if row.failed else row.remarks:
            lines.setdefault(f"{where}: {words}", []).append(row.round + 1)
    told = [f"{line} (round {', '.join(map(str, rounds))})" for line, rounds in lines.items()]
    if len(told) > SHOWN_MAX:
        told = [*told[:SHOWN_MAX], f"and {len(told) - SHOWN_MAX} more: in the raw results"]
    return told
