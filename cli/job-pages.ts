import type { JobFilter, JobSummary } from '../adapters/jobs/local/queued-job.ts';
import type { ControlClient } from './control-client.ts';

const PAGE = 500;

/** Jobs page by page, oldest first: a list of any length takes the memory of one page. */
export async function* jobPages(
  queue: Pick<ControlClient, 'list'>,
  filter: JobFilter,
): AsyncGenerator<readonly JobSummary[]> {
  let after: number | undefined;
  do {
    const page = await queue.list({ ...filter, limit: PAGE, ...(after !== undefined && { after }) });
    yield page.jobs;
    after = page.next;
  } while (after !== undefined);
}
