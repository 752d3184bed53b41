"""Runs a worker for one job in a process of its own, and prints seconds, processor time and memory as JSON.

Arguments: the folder of an installation and the id of the job.
"""

import asyncio
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any
from uuid import UUID

from latchstring.bootstrap.garbage_collection import tune_garbage_collection
from latchstring.bootstrap.services import open_services
from latchstring.config import load_config
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.services import Services
from latchstring.worker.jobs import JobDependencies, JobWorker
from latchstring.worker.wake_event import WakeEvent


def memory_mib() -> float:
    """The resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def measure(folder: Path, job_id: UUID) -> dict[str, Any]:
    os.chdir(folder)
    wake_event = WakeEvent()
    async with open_services(
        load_config(folder / "latchstring.toml", {}), wake_event=wake_event, short_lived=True
    ) as services:
        tune_garbage_collection()  # as in a worker process
        before, processor_start, start = memory_mib(), time.process_time(), time.perf_counter()
        await process_job(services, wake_event, job_id)
        seconds, processor = time.perf_counter() - start, time.process_time() - processor_start
        job = await services.invitations.bulk.get(job_id, by=OPERATOR_PRINCIPAL)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "state": job.state,
        "created": job.created,
        "seconds": seconds,
        "processor_ms": processor * 1000,
        "before_mib": before,
        "peak_mib": peak,
    }


async def process_job(services: Services, wake_event: WakeEvent, job_id: UUID) -> None:
    stop = asyncio.Event()
    dependencies = JobDependencies(
        db=services.db, clock=services.clock, kinds=services.invitations.job_kinds, wake_event=wake_event.jobs
    )
    worker_task = asyncio.create_task(JobWorker(dependencies).run(stop))
    while True:
        await asyncio.sleep(0.02)
        job = await services.invitations.bulk.get(job_id, by=OPERATOR_PRINCIPAL)
        if job.state.is_finished:
            break
    stop.set()
    wake_event.notify_local()
    await worker_task


if __name__ == "__main__":
    try:
        import uvloop

        run = uvloop.run
    except ImportError:
        run = asyncio.run
    print(json.dumps(run(measure(Path(sys.argv[1]), UUID(sys.argv[2])))))
