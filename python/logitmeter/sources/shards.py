"""Files named ``x-00000-of-00003.arrow``: whether all of them are there."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from logitmeter.exceptions import InputWarning
from logitmeter.notices import warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logitmeter.sources.place import Place

__all__ = ["warn_of_missing"]

SHARD = re.compile(r"(.*)-(\d{5})-of-(\d{5})(\.\w+)?")


def warn_of_missing(places: Sequence[Place]) -> None:
    """Warn of sets of files that lack some: not all were copied, or their writer died."""
    found: defaultdict[tuple[str, str, str], set[int]] = defaultdict(set)
    for place in places:
        if match := SHARD.fullmatch(place.path):
            stem, number, total, suffix = match.groups(default="")
            found[stem, total, suffix].add(int(number))
    for (stem, total, suffix), numbers in found.items():
        missing = [number for number in range(int(total)) if number not in numbers]
        if missing:
            first = f"{stem}-{missing[0]:05}-of-{total}{suffix}"
            message = f"{len(numbers)} of {int(total)} files are there; missing is {first}"
            warn(message if len(missing) == 1 else f"{message}, and more", InputWarning)
