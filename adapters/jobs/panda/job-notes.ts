import { appendFile, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '../../../protocol/runtime/durable-file.ts';
import { unlessMissing } from '../../../protocol/runtime/unless-missing.ts';
import { createRecent } from '../kit/recent.ts';

/** Lines about jobs that have to outlive this process, and that PanDA gives back to nobody. */
export interface JobNotes {
  /** Resolves once the line would survive the end of this process. A job that has too many gets no further ones. */
  add(job: string, line: string): Promise<void>;
  /** In their order; a line may be there twice. */
  of(job: string): Promise<readonly string[]>;
  /** Forgets jobs of which nothing was noted since. */
  forgetBefore(wallMs: number): Promise<void>;
}

/** About 50,000 lines, each of one range. */
const MAX_BYTES = 4 * 1024 * 1024;
const MAX_RECENT = 10_000;
/** A line without it was torn by a crash; nobody was told that it is there. */
const END = ';';

/** A file for each job; nothing but ids of ours names one. */
export async function openJobNotes(directory: string): Promise<JobNotes> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  /** What was noted of late is not noted again. */
  const recent = createRecent<true>(MAX_RECENT);
  const pathOf = (job: string): string => join(directory, job);

  async function append(job: string, line: string): Promise<void> {
    const known = await sizeOf(pathOf(job));
    if ((known ?? 0) + line.length >= MAX_BYTES) return;
    await appendFile(pathOf(job), `\n${line}${END}`, { mode: 0o600, flush: true });
    if (known === undefined) await syncDirectory(directory);
  }

  return {
    async add(job, line) {
      const key = `${job} ${line}`;
      if (recent.get(key) !== undefined) return;
      await append(job, line);
      recent.set(key, true);
    },
    async of(job) {
      const text = await readFile(pathOf(job), 'latin1').catch(unlessMissing);
      const lines = (text ?? '').split('\n').filter((line) => line.endsWith(END));
      return lines.map((line) => line.slice(0, -END.length));
    },
    async forgetBefore(wallMs) {
      for (const job of await readdir(directory)) {
        const found = await stat(pathOf(job)).catch(unlessMissing);
        if (found !== undefined && found.mtimeMs < wallMs) await rm(pathOf(job), { force: true });
      }
    },
  };
}

async function sizeOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(unlessMissing))?.size;
}
