"""The report of a job as a table with the result of each row."""

from latchstring.domain.job import JobRow

REPORT_COLUMNS = ("row", "status", "code", "detail", "email", "invitationId")


def row_cells(row: JobRow) -> tuple[object, ...]:
    """Return the cells of one row result, in the order of REPORT_COLUMNS."""
    return (row.row, row.status, row.code, row.detail, row.email, row.invitation_id)
