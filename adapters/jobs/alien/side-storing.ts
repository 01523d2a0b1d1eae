import { CoPilotError, toCoPilotError } from '../../../protocol/errors.ts';
import type { FrameworkHttp } from '../kit/framework-http.ts';
import type { Catalogue, OutputFile } from './catalogue.ts';
import type { FileTransfer } from './file-transfer.ts';
import { callSide, objectsIn, type SideAnswer, textIn } from './side-call.ts';

interface Place {
  readonly url: string;
  readonly se: string;
  readonly guid: string;
  readonly envelope: string;
}

/** Stores by envelopes that the side process gets, and has it register the copies with the members of archives. */
export function storeBySide(http: FrameworkHttp, transfer: FileTransfer): Catalogue['store'] {
  return async (file, job) => {
    const about = {
      queueId: job.id,
      token: job.token,
      lfn: file.lfn,
      size: file.content.size,
      md5: file.md5,
    };
    const answer = await callSide(http, 'envelope', { ...about, storage: file.storage });
    const places = objectsIn(answer, 'places', 'envelope').map(placeIn);
    const result = answer.get('result');
    if (result === 'registered')
      return { pfns: places.map(({ url }) => url), guid: '', wanted: places.length };
    if (result !== 'ok')
      throw new CoPilotError('CONFLICT', `JAliEn does not store ${file.lfn}: ${whyIn(answer)}`);
    const written = await writeAll(transfer, file, places);
    const pfns = await register(http, { ...about, places: written, members: file.members });
    return { pfns, guid: places[0]?.guid ?? '', wanted: places.length };
  };
}

async function writeAll(
  transfer: FileTransfer,
  file: OutputFile,
  places: readonly Place[],
): Promise<readonly Place[]> {
  const written: Place[] = [];
  let last = new CoPilotError('UNREACHABLE', 'JAliEn gives no place');
  for (const place of places) {
    try {
      await transfer.put(file.content, place.url, place.envelope);
      written.push(place);
    } catch (caught) {
      last = toCoPilotError(caught);
    }
  }
  if (written.length === 0) throw last;
  return written;
}

async function register(
  http: FrameworkHttp,
  body: { readonly lfn: string; readonly places: readonly Place[]; readonly members: OutputFile['members'] },
): Promise<readonly string[]> {
  const answer = await callSide(http, 'register', body);
  const registered = answer.get('registered');
  const asked = new Set(body.places.map(({ url }) => url));
  const pfns = Array.isArray(registered)
    ? registered.filter((pfn) => typeof pfn === 'string' && asked.has(pfn))
    : [];
  if (pfns.length > 0) return pfns as readonly string[];
  throw new CoPilotError('UNREACHABLE', `the side process does not say that ${body.lfn} was registered`);
}

function placeIn(fields: SideAnswer): Place {
  const [url, se, guid, envelope] = ['url', 'se', 'guid', 'envelope'].map((name) =>
    textIn(fields, name, 'envelope'),
  );
  return { url: url ?? '', se: se ?? '', guid: guid ?? '', envelope: envelope ?? '' };
}

function whyIn(answer: SideAnswer): string {
  const why = answer.get('why');
  return typeof why === 'string' ? why.slice(0, 200) : 'no reason is given';
}
