"""The report of a job as a table: what became of each row."""

from latchstring.domain.job import JobRow

REPORT_COLUMNS = ("row", "status", "code", "detail", "email", "invitationId")


def row_cells(row: JobRow) -> tuple[object, ...]:
    """One verdict as a line below REPORT_COLUMNS."""
    return (row.row, row.status, row.code, row.detail, row.email, row.invitation_id)
