import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { OUTPUTS_NAME, STATUS_NAME } from '../../../adapters/jobs/alien/job-script.ts';
import { writeTar } from '../../../adapters/jobs/alien/tar-writer.ts';
import { adler32, adler32Hex } from '../../../protocol/adler32.ts';
import type { StoredFile } from '../../../protocol/generated/types.ts';

const OUTPUT = Buffer.alloc(1024, 'x');

/** What a job of AliEn left: the file that its description names, and what it printed. */
async function aliensOutputs(): Promise<Buffer> {
  const directory = await mkdtemp(join(tmpdir(), 'co-pilot-bench-outputs-'));
  try {
    const path = join(directory, OUTPUTS_NAME);
    const file = (name: string, bytes: Buffer) => ({
      name,
      isExecutable: false,
      content: { kind: 'bytes', bytes } as const,
    });
    await writeTar(path, [file('events.txt', OUTPUT), file('stdout', Buffer.from('event\n'))]);
    return await readFile(path);
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Files that an adapter reads to know how its payload ended; every other output is 1 KB of nothing. */
const CONTENTS: Readonly<Record<string, Buffer>> = {
  'jobReport.json': Buffer.from(JSON.stringify({ exitCode: 0, steps: { cmsRun: { output: {} } } })),
  'wrapper-status.txt': Buffer.from('0\n'),
  [STATUS_NAME]: Buffer.from('exit=0\nvalidation=none\n'),
  [OUTPUTS_NAME]: await aliensOutputs(),
};

export function contentOf(name: string): Buffer {
  return CONTENTS[basename(name)] ?? OUTPUT;
}

type Measured = Omit<StoredFile, 'name'>;

const measured = new Map<Buffer, Measured>();

/** An output as storage has it; each content is measured once, for storage does that, not the adapter. */
export function storedFile(name: string): StoredFile {
  const content = contentOf(name);
  const known = measured.get(content) ?? measure(content);
  measured.set(content, known);
  return { name, ...known };
}

function measure(content: Buffer): Measured {
  const digest = (algorithm: string): string => createHash(algorithm).update(content).digest('hex');
  const sum = adler32Hex(adler32(content));
  return { size: content.length, sha256: digest('sha256'), md5: digest('md5'), adler32: sum };
}
