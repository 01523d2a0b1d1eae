import { chmod, lstat, mkdir, open, readdir, rename, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CoPilotError, toCoPilotError } from '../../../../protocol/errors.ts';
import type { CampaignReader, ReadCampaign } from './campaign-reader.ts';
import type { SubmittedDrop } from './submit-campaign.ts';

/** The folders of a watched directory. */
export interface DropPlaces {
  /** Where others put campaigns and their inputs. */
  readonly incoming: string;
  /** Nobody else enters it: what is checked here stays as it was checked. */
  readonly working: string;
  readonly accepted: string;
  readonly refused: string;
}

const MAX_CAMPAIGN_BYTES = 256 * 1024;
const MAX_INPUT_BYTES = 4 * 1024 ** 3;
const MAX_INPUTS = 64;
const CAMPAIGN_NAME = /[.]ya?ml$/;
const PLAIN_NAME = /^[A-Za-z0-9_][A-Za-z0-9._+=,@-]{0,127}$/;

/** Whether a file of `incoming` is a campaign: others may be inputs, or still be written. */
export function isCampaignName(name: string): boolean {
  return CAMPAIGN_NAME.test(name) && !name.startsWith('.');
}

/** Moves a campaign file into a folder of its own, where its owner can replace it no more; answers the folder's name. */
export async function takeDrop(places: DropPlaces, name: string, id: string): Promise<string> {
  const folder = PLAIN_NAME.test(name) ? `${name.replace(CAMPAIGN_NAME, '')}-${id}` : `campaign-${id}`;
  await mkdir(join(places.working, folder), { mode: 0o700 });
  // A link is moved as a link, a folder as a folder: what it is, is looked at where it cannot change any more.
  await rename(join(places.incoming, name), join(places.working, folder, 'campaign.yaml')).catch(
    async (caught: unknown) => {
      await rmdir(join(places.working, folder));
      throw caught;
    },
  );
  return folder;
}

/** Reads what was taken, with its inputs from `incoming`, and who dropped it. Throws `INVALID_REQUEST` or `INVALID_CAMPAIGN`. */
export async function readDrop(
  places: DropPlaces,
  folder: string,
  reader: CampaignReader,
): Promise<{ readonly uid: number; readonly read: ReadCampaign }> {
  const path = join(places.working, folder, 'campaign.yaml');
  const uid = await requirePlain(path, 'the campaign', MAX_CAMPAIGN_BYTES);
  const names = new Set(await reader.inputsOf(path));
  if (names.size > MAX_INPUTS) throw refused(`it names over ${MAX_INPUTS} input files`);
  for (const name of names) await takeInput(places, folder, name, uid);
  const read = await reader.read(path);
  if (read.uploads.some((upload) => upload.kind === 'file' && dirname(upload.path) !== dirname(path)))
    throw refused('an input lies elsewhere');
  return { uid, read };
}

/** Only files of the one who dropped the campaign, that lie beside it: nobody gets at others' files through us. */
async function takeInput(places: DropPlaces, folder: string, name: string, uid: number): Promise<void> {
  if (!PLAIN_NAME.test(name) || isCampaignName(name) || isOurs(name))
    throw refused(`input ${JSON.stringify(name)} is not the plain name of a file beside the campaign`);
  const taken = join(places.working, folder, name);
  if (!(await isThere(taken))) {
    const source = join(places.incoming, name);
    if (!(await isThere(source))) throw refused(`input ${name} is not beside the campaign`);
    await requirePlain(source, `input ${name}`, MAX_INPUT_BYTES, uid);
    await rename(source, taken);
  }
  await requirePlain(taken, `input ${name}`, MAX_INPUT_BYTES, uid);
}

/** A regular file under one name, of a known owner and size. */
async function requirePlain(path: string, what: string, most: number, uid?: number): Promise<number> {
  const found = await lstat(path);
  if (!found.isFile()) throw refused(`${what} is no regular file`);
  if (found.nlink !== 1) throw refused(`${what} has a second name somewhere; copy it instead of linking it`);
  if (uid !== undefined && found.uid !== uid)
    throw refused(`${what} belongs to somebody else than the campaign`);
  if (found.size > most) throw refused(`${what} is over ${most} bytes`);
  return found.uid;
}

/** Moves a folder to where its owner sees what became of it. */
export async function endDrop(
  places: DropPlaces,
  folder: string,
  end:
    | { readonly kind: 'accepted'; readonly receipt: SubmittedDrop }
    | { readonly kind: 'refused'; readonly code: string; readonly reason: string },
): Promise<void> {
  const from = join(places.working, folder);
  const { kind, ...rest } = end;
  const text = 'receipt' in rest ? rest.receipt : rest;
  await using file = await open(join(from, OURS[kind]), 'w', 0o644);
  await file.writeFile(`${JSON.stringify(text, null, 2)}\n`);
  await file.chmod(0o644);
  await file.sync();
  await rename(from, join(places[kind], folder));
  await chmod(join(places[kind], folder), 0o755);
}

/** What we write beside a campaign. */
const OURS = { accepted: 'receipt.json', refused: 'reason.json' } as const;

function isOurs(name: string): boolean {
  return name === OURS.accepted || name === OURS.refused || name === 'campaign.yaml';
}

/** Folders that an earlier start left behind half done; empty ones are removed. */
export async function leftDrops(places: DropPlaces): Promise<readonly string[]> {
  const folders: string[] = [];
  for (const folder of await readdir(places.working)) {
    if (await isThere(join(places.working, folder, 'campaign.yaml'))) folders.push(folder);
    else await rmdir(join(places.working, folder));
  }
  return folders;
}

/** Whether trying again later may help: what is wrong is not the campaign. */
export function isPassing(caught: unknown): boolean {
  return ['UNREACHABLE', 'TIMEOUT', 'QUEUE_UNAVAILABLE', 'QUEUE_FULL', 'INTERNAL'].includes(
    toCoPilotError(caught).code,
  );
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (caught) {
    if (caught instanceof Error && 'code' in caught && caught.code === 'ENOENT') return false;
    throw caught;
  }
}

function refused(message: string): CoPilotError {
  return new CoPilotError('INVALID_REQUEST', message);
}
