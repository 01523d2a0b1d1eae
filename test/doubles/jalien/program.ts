import { createHash } from 'node:crypto';
import { WebSocket } from 'ws';
import { SIM_LFN, SIM_SCRIPT } from '../alien/program.ts';
import type { JalienDouble } from './jalien-double.ts';

/** Puts the program of the campaign into the catalogue and on a storage. */
export function addSimScript({ files, storage }: JalienDouble): void {
  const pfn = `${storage.url}/niham${SIM_LFN}`;
  storage.put(pfn, Buffer.from(SIM_SCRIPT));
  const md5 = createHash('md5').update(SIM_SCRIPT).digest('hex');
  files.add(SIM_LFN, {
    size: String(SIM_SCRIPT.length),
    md5,
    guid: 'sim-script',
    pfns: [{ se: 'ALICE::NIHAM::FILE', pfn }],
  });
}

/** One command as a user's client sends it; its results. */
export async function jalienCommand(
  url: string,
  command: string,
  options: readonly string[],
): Promise<readonly Readonly<Record<string, string>>[]> {
  const socket = new WebSocket(url);
  const text = await new Promise<string>((resolve, reject) => {
    socket.once('open', () => socket.send(JSON.stringify({ command, options })));
    socket.once('message', (data: Buffer) => resolve(data.toString()));
    socket.once('error', reject);
  });
  socket.close();
  const { metadata, results } = JSON.parse(text) as {
    readonly metadata: { readonly exitcode: string; readonly error: string };
    readonly results: readonly Readonly<Record<string, string>>[];
  };
  if (metadata.exitcode !== '0') throw new Error(`${command}: ${metadata.error}`);
  return results;
}
