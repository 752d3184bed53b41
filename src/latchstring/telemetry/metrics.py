"""What this process counts for Prometheus: requests, mails, rows of jobs."""

from functools import cache

from prometheus_client import Counter, Histogram

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

_REQUESTS = Histogram(
    "latchstring_http_request_duration_seconds",
    "Time from the request's first byte to the answer's last, by route and status.",
    ("method", "route", "status"),
    buckets=BUCKETS,
)
_MAILS = Counter(
    "latchstring_mail_attempts_total", "Attempts to send a mail, by message and outcome.", ("kind", "outcome")
)


_JOB_ROWS = Counter(
    "latchstring_job_rows_total", "Rows of jobs that were settled, by kind and outcome.", ("kind", "outcome")
)


@cache
def _request_series(method: str, route: str, status: int) -> Histogram:
    """The labelled child, kept: looking it up costs as much as observing. Routes and statuses are few."""
    return _REQUESTS.labels(method, route, str(status))


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Note one answered request. route: its template, never its path, so that series stay few."""
    _request_series(method, route, status).observe(seconds)


def count_mail(kind: str, outcome: str) -> None:
    """Note one attempt to send a mail."""
    _MAILS.labels(kind, outcome).inc()


def count_job_rows(kind: str, outcome: str, count: int) -> None:
    """Note so many settled rows of jobs."""
    _JOB_ROWS.labels(kind, outcome).inc(count)
