import { watch } from 'node:fs';
import { chmod, mkdir, opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { newId } from '../../../../protocol/encoding.ts';
import { toCoPilotError } from '../../../../protocol/errors.ts';
import { nodeClock } from '../../../../protocol/runtime/node-runtime.ts';
import type { Cancel, Clock, Log, Random } from '../../../../protocol/runtime/runtime.ts';
import { repeatSteps } from '../../../repeated-steps.ts';
import type { LocalQueue } from '../local-queue.ts';
import type { CampaignReader } from './campaign-reader.ts';
import {
  type DropPlaces,
  endDrop,
  isCampaignName,
  isPassing,
  leftDrops,
  readDrop,
  takeDrop,
} from './drop.ts';
import type { InputStore } from './input-store.ts';
import { removeOldDrops } from './old-drops.ts';
import type { OwnerOf } from './owner-names.ts';
import { submitDrop } from './submit-campaign.ts';

export interface DirectoryIntakeOptions {
  readonly path: string;
  readonly queue: LocalQueue;
  readonly inputs: InputStore | undefined;
  readonly reader: CampaignReader;
  readonly ownerOf: OwnerOf;
  readonly random: Random;
  readonly clock?: Clock;
  readonly log: Log;
  /** Tells of changes in a folder, as well as it can. */
  readonly watchFolder?: WatchFolder;
}

export type WatchFolder = (
  path: string,
  onChange: () => void,
  onError: (error: Error) => void,
) => { close(): void };

/** The way in for whoever may write to a folder: campaigns dropped there are submitted, one after the other. */
export interface DirectoryIntake {
  /** Goes on with what an earlier start left, then takes what is there and what comes. */
  start(): Promise<void>;
  /** Finishes the campaign under way; idempotent. */
  stop(): Promise<void>;
}

/** What no event told of is found so late. */
const LOOK_MS = 60_000;
/** Where the bridge or the queue did not take a campaign. */
const AGAIN_MS = 5_000;
/** Names looked at in one go, and campaigns taken. */
const MAX_NAMES = 10_000;
const MAX_TAKEN = 256;
/** Campaigns that wait for the bridge or the queue; beyond, new ones stay where they are dropped. */
const MAX_WAITING = 256;

export function createDirectoryIntake(options: DirectoryIntakeOptions): DirectoryIntake {
  const { path, reader, ownerOf, random, clock = nodeClock, log, watchFolder = systemWatch } = options;
  const places: DropPlaces = {
    incoming: join(path, 'incoming'),
    working: join(path, 'working'),
    accepted: join(path, 'accepted'),
    refused: join(path, 'refused'),
  };
  let watcher: ReturnType<WatchFolder> | undefined;
  let cancelLook: Cancel = () => undefined;
  let cancelRemoval: Cancel = () => undefined;
  let running: Promise<void> | undefined;
  let isWanted = false;
  let isStopped = false;
  /** Names that cannot be moved: told once, for as long as they lie there. */
  let stuck: ReadonlySet<string> = new Set();

  /** Looks now, or once more after the look that is under way. */
  function look(): void {
    isWanted = true;
    running ??= lookWhileWanted().finally(() => {
      running = undefined;
    });
  }

  async function lookWhileWanted(): Promise<void> {
    while (isWanted && !isStopped) {
      isWanted = false;
      cancelLook();
      let nextMs = LOOK_MS;
      try {
        if (!(await lookOnce())) nextMs = AGAIN_MS;
      } catch (caught) {
        log.error({ err: caught }, 'the watched directory could not be looked through');
        nextMs = AGAIN_MS;
      }
      cancelLook = clock.schedule(nextMs, look);
    }
  }

  /** False where something waits for a better moment. */
  async function lookOnce(): Promise<boolean> {
    // One that waits keeps no other waiting.
    let waiting = 0;
    for (const folder of await leftDrops(places)) waiting += (await work(folder)) ? 0 : 1;
    const names = await campaignsIn(places.incoming);
    stuck = new Set(names.filter((name) => stuck.has(name)));
    for (const name of names.filter((one) => !stuck.has(one))) {
      if (isStopped || waiting >= MAX_WAITING) break;
      const folder = await take(name);
      if (folder !== undefined && !(await work(folder))) waiting += 1;
    }
    if (names.length === MAX_TAKEN && waiting === 0) isWanted = true;
    return waiting === 0;
  }

  async function take(name: string): Promise<string | undefined> {
    try {
      return await takeDrop(places, name, newId(random).slice(0, 10));
    } catch (caught) {
      log.warn({ name, err: caught }, 'a dropped campaign cannot be moved; it stays where it is');
      stuck = new Set([...stuck, name]);
      return undefined;
    }
  }

  async function work(folder: string): Promise<boolean> {
    try {
      const { uid, read } = await readDrop(places, folder, reader);
      const receipt = await submitDrop(options, await ownerOf(uid), read);
      await endDrop(places, folder, { kind: 'accepted', receipt });
      const { campaign, owner, jobs, repeated } = receipt;
      log.info({ folder, campaign, owner, jobs: jobs.length, repeated }, 'a dropped campaign is accepted');
      return true;
    } catch (caught) {
      const { code, message } = toCoPilotError(caught);
      if (isPassing(caught)) {
        log.warn({ folder, code, err: caught }, 'a dropped campaign waits for a better moment');
        return false;
      }
      const reason = message.replaceAll(`${join(places.working, folder)}/`, '');
      await endDrop(places, folder, { kind: 'refused', code, reason });
      log.info({ folder, code }, 'a dropped campaign is refused');
      return true;
    }
  }

  return {
    async start() {
      await makePlaces(places);
      watcher = watchFolder(places.incoming, look, (err) =>
        log.warn({ err }, 'the directory is no longer watched; it is looked through every minute'),
      );
      cancelRemoval = repeatSteps(clock, log, () => removeOldDrops(places, clock.wallMs()));
      look();
    },
    async stop() {
      isStopped = true;
      cancelRemoval();
      cancelLook();
      watcher?.close();
      await running;
      cancelLook();
    },
  };
}

function systemWatch(
  path: string,
  onChange: () => void,
  onError: (error: Error) => void,
): ReturnType<WatchFolder> {
  return watch(path, onChange).on('error', onError);
}

/** `incoming` is made for this user alone; who else may drop is the operator's to say, by its mode. */
async function makePlaces({ incoming, working, accepted, refused }: DropPlaces): Promise<void> {
  await mkdir(incoming, { recursive: true, mode: 0o700 });
  for (const [place, mode] of [
    [working, 0o700],
    [accepted, 0o755],
    [refused, 0o755],
  ] as const) {
    await mkdir(place, { recursive: true });
    await chmod(place, mode);
  }
}

async function campaignsIn(incoming: string): Promise<readonly string[]> {
  const names: string[] = [];
  let seen = 0;
  for await (const { name } of await opendir(incoming)) {
    seen += 1;
    if (isCampaignName(name)) names.push(name);
    if (seen >= MAX_NAMES || names.length >= MAX_TAKEN) break;
  }
  return names.sort();
}
