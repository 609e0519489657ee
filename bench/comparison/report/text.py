"""The results on a terminal."""

from ..records import Records
from . import doubts, missed, page, sections, wins


def render(records: Records) -> str:
    parts = [f"{section.title}\n{section.about.replace('**', '')}\n\n{section.table.plain()}" for section in sections.all_of(records)]
    parts.append(listed("Where a peer beats epush", wins.all_of(records) or ["nowhere in these results"]))
    parts.append(listed("Where epush misses its own bar", missed.all_of(records) or ["nowhere in these results"]))
    if absent := records.facts["absent"]:
        parts.append(listed("Not compared", [f"{title}: {why}" for title, why in absent.items()]))
    if told := doubts.all_of(records):
        parts.append(listed("To be doubted", told))
    if len(records.runs) > 1:
        told = [f"run {number}, {page.circumstances(run)}: {run['command']}" for number, run in enumerate(records.runs, 1)]
        parts.append(listed("Put together from", told))
    return "\n\n".join(parts)


def listed(title: str, lines: list[str]) -> str:
    return "\n".join([title, *(f"- {line}" for line in lines)])
