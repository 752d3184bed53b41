"""Prometheus metrics of this process: requests, mails, rows of jobs."""

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
    "latchstring_job_rows_total", "Rows of jobs that were processed, by kind and outcome.", ("kind", "outcome")
)


@cache
def _request_series(method: str, route: str, status: int) -> Histogram:
    """Return the labelled child, cached: the lookup costs as much as an observation. Routes and statuses are few."""
    return _REQUESTS.labels(method, route, str(status))


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count a request. route: the path template, never the path, so that there are few series."""
    _request_series(method, route, status).observe(seconds)


def count_mail(kind: str, outcome: str) -> None:
    _MAILS.labels(kind, outcome).inc()


def count_job_rows(kind: str, outcome: str, count: int) -> None:
    _JOB_ROWS.labels(kind, outcome).inc(count)
