"""Jobs, one batch at a time, for tests that look at what is between two batches."""

from datetime import datetime
from uuid import UUID

from latchstring.domain.job import Job
from latchstring.worker.jobs import JobWork


async def process_next_batch(kind: JobWork, job: Job, owner: UUID, until: datetime) -> Job:
    """Prepare and process the next batch, as a worker without other batches ahead does."""
    return await kind.process(job, owner, until, await kind.prepare(job, job.done + 1))
