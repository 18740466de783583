"""What an error is answered as, whoever asks: over HTTP, and through a socket."""

import psycopg

from autodoctor.aws.errors import AwsError
from autodoctor.errors import Problem, ServiceUnavailable, SessionBusy
from autodoctor.observability import log_failure


def problem_of(failure: Exception) -> Problem | None:
    """The problem that an error is answered as; None for an unexpected one, which is answered with a bare 500."""
    if isinstance(failure, Problem):
        return failure
    if isinstance(failure, psycopg.errors.LockNotAvailable):
        return SessionBusy()
    if isinstance(failure, psycopg.OperationalError):
        log_failure("database unavailable", failure)
        return ServiceUnavailable()
    if isinstance(failure, AwsError):
        log_failure("service unavailable", failure)
        return ServiceUnavailable()
    log_failure("unexpected", failure)
    return None
