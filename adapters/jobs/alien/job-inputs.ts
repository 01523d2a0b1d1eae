import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CoPilotError, toCoPilotError } from '../../../protocol/errors.ts';
import type { Clock } from '../../../protocol/runtime/runtime.ts';
import type { InputStore, StoredInput } from '../kit/input-store.ts';
import { keptInputs } from '../kit/kept-inputs.ts';
import type { Catalogue } from './catalogue.ts';
import type { DescribedJob, WantedInput } from './describe-job.ts';
import { INPUTS_NAME, JOB_SCRIPT, PATTERNS_NAME, SCRIPT_NAME } from './job-script.ts';
import { patternsOf } from './output-plan.ts';
import { type TarEntry, writeTar } from './tar-writer.ts';

export interface JobInput extends StoredInput {
  readonly name: string;
  readonly executable: boolean;
}

/** Brings what a job needs from the catalogue into the Data Bridge: one archive, which the sub-jobs of a master share, and the script. */
export interface JobInputs {
  /** Rejects with `NOT_FOUND` where the catalogue has no such file; most other rejections may pass. */
  prepare(job: DescribedJob): Promise<readonly JobInput[]>;
}

export interface JobInputsOptions {
  readonly clock: Clock;
  readonly catalogue: Catalogue;
  readonly store: InputStore;
  /** For what is being packed. */
  readonly directory: string;
}

/** As long as an archive of the same files is taken for the same. */
const KEPT_MS = 600_000;

export function createJobInputs({ clock, catalogue, store, directory }: JobInputsOptions): JobInputs {
  const once = keptInputs({ clock, keptMs: KEPT_MS });

  const packed = async (job: DescribedJob): Promise<StoredInput> => {
    const place = join(directory, randomUUID());
    await mkdir(place, { recursive: true, mode: 0o700 });
    try {
      const files: TarEntry[] = [];
      for (const input of job.inputs) files.push(await fetched(input, join(place, `file-${files.length}`)));
      const tar = join(place, INPUTS_NAME);
      await writeTar(tar, [...files, ...textsOf(job)]);
      return await store.put({ kind: 'file', path: tar });
    } finally {
      await rm(place, { recursive: true, force: true });
    }
  };
  const fetched = async ({ lfns, name, isExecutable }: WantedInput, path: string): Promise<TarEntry> => {
    for (const lfn of lfns) {
      try {
        await catalogue.fetch(lfn, path);
        return { name, isExecutable, content: { kind: 'file', path } };
      } catch (caught) {
        if (toCoPilotError(caught).code !== 'NOT_FOUND') throw caught;
      }
    }
    throw new CoPilotError('NOT_FOUND', `the catalogue has no ${lfns[0] ?? name}`);
  };
  const putScript = (): Promise<StoredInput> => store.put({ kind: 'bytes', bytes: Buffer.from(JOB_SCRIPT) });

  return {
    async prepare(job) {
      const key = JSON.stringify([job.inputs, job.texts, job.outputs.outputs, job.outputs.onError]);
      return [
        { name: SCRIPT_NAME, executable: true, ...(await once(SCRIPT_NAME, putScript)) },
        { name: INPUTS_NAME, executable: false, ...(await once(key, () => packed(job))) },
      ];
    },
  };
}

function textsOf({ texts, outputs }: DescribedJob): readonly TarEntry[] {
  const patterns = { name: PATTERNS_NAME, text: `${patternsOf(outputs).join('\n')}\n` };
  return [...texts, patterns].map(({ name, text }) => ({
    name,
    isExecutable: false,
    content: { kind: 'bytes', bytes: Buffer.from(text) },
  }));
}
