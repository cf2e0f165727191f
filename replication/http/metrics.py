"""What the server counts while it answers: a few additions per request, arithmetic when somebody asks."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

METHODS = ("COPY", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT")
OTHER_METHOD = "OTHER"
"""What a client makes up: counted together, so that counters don't grow with clients' imagination."""

CLIENT_LEFT = 499
"""The status of a request whose client has not waited for the answer."""

RECENT = 1000
"""Requests whose times are kept for the distribution."""

PERCENTILES = (50, 75, 90, 95, 99, 999)
"""999 stands for 99.9."""

_METHODS = frozenset(METHODS)


class Metrics:
    """Counters of one server. `finished` is on the path of every request: keep it cheap."""

    __slots__ = ("_recent", "_requests", "in_progress", "seconds", "started")

    def __init__(self) -> None:
        self.started = time.time()
        """Seconds since 1970."""
        self.in_progress = 0
        """Requests that are being answered, feeds included."""
        self.seconds = 0.0
        """Time that all finished requests took together."""
        self._requests: dict[tuple[str, int], int] = {}
        self._recent: deque[float] = deque(maxlen=RECENT)

    def finished(self, method: str, status: int, seconds: float) -> None:
        if method not in _METHODS:
            method = OTHER_METHOD
        key = (method, status)
        requests = self._requests
        requests[key] = requests.get(key, 0) + 1
        self.seconds += seconds
        self._recent.append(seconds)

    @property
    def requests(self) -> int:
        """How many were answered."""
        return sum(self._requests.values())

    def by_method(self) -> Counter[str]:
        counted: Counter[str] = Counter()
        for (method, _), count in self._requests.items():
            counted[method] += count
        return counted

    def by_status(self) -> Counter[int]:
        counted: Counter[int] = Counter()
        for (_, status), count in self._requests.items():
            counted[status] += count
        return counted

    def times(self) -> Distribution:
        """Of the latest requests, in milliseconds."""
        return Distribution.of([seconds * 1000 for seconds in self._recent])


@dataclass(frozen=True, slots=True)
class Distribution:
    """A sample of numbers described as CouchDB's histograms are. All zero for no numbers."""

    n: int
    min: float
    max: float
    arithmetic_mean: float
    geometric_mean: float
    harmonic_mean: float
    median: float
    variance: float
    standard_deviation: float
    skewness: float
    kurtosis: float
    percentile: tuple[tuple[int, float], ...]

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Distribution:
        """Of numbers that are not negative."""
        if not numbers:
            nothing = tuple((rank, 0.0) for rank in PERCENTILES)
            return cls(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, nothing)
        ordered = sorted(numbers)
        n = len(ordered)
        mean = math.fsum(ordered) / n
        deviation = math.sqrt(_moment(ordered, mean, 2))
        positive = ordered[0] > 0
        return cls(
            n=n,
            min=ordered[0],
            max=ordered[-1],
            arithmetic_mean=mean,
            geometric_mean=math.exp(math.fsum(map(math.log, ordered)) / n) if positive else 0.0,
            harmonic_mean=n / math.fsum(1 / number for number in ordered) if positive else 0.0,
            median=_percentile(ordered, 50),
            variance=math.fsum((number - mean) ** 2 for number in ordered) / max(1, n - 1),
            standard_deviation=math.sqrt(math.fsum((x - mean) ** 2 for x in ordered) / max(1, n - 1)),
            skewness=_moment(ordered, mean, 3) / deviation**3 if deviation else 0.0,
            kurtosis=_moment(ordered, mean, 4) / deviation**4 - 3 if deviation else 0.0,
            percentile=tuple(
                (rank, _percentile(ordered, rank / 10 if rank > 100 else rank)) for rank in PERCENTILES
            ),
        )

    def members(self) -> dict[str, object]:
        """As a JSON object. CouchDB adds the bins of its histogram; here there are none."""
        return {name: getattr(self, name) for name in self.__slots__} | {"histogram": [[0, 0]]}


def _moment(ordered: Sequence[float], mean: float, power: int) -> float:
    return math.fsum((number - mean) ** power for number in ordered) / len(ordered)


def _percentile(ordered: Sequence[float], percent: float) -> float:
    """Linear between the two nearest ranks."""
    place = (len(ordered) - 1) * percent / 100
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
