import { CoPilotError } from '../../../protocol/errors.ts';
import type { FrameworkSettings } from '../kit/framework-kind.ts';

/** What the queue of CMS@home is told (docs/cms-at-home.md has each with its default). */
export interface CmsAtHomeOptions {
  /** The broker's queue that its jobs go to as well. */
  readonly queue: string;
  /** Whether volunteers' old clients are served, which show their authenticator each time. */
  readonly servesVolunteers: boolean;
  readonly host: string;
  readonly port: number;
  /** Names of client certificates that put jobs in and collect results. */
  readonly producers: readonly string[];
  /** How long a volunteer may have a job. */
  readonly leaseSeconds: number;
  readonly maxJobs: number;
  readonly maxPerVolunteer: number;
  readonly maxOutputMiB: number;
  readonly site: string;
  readonly requirements: string;
  readonly wallSeconds: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
}

/** Keys of the options that say where BOINC's accounts are; whoever checks them reads them. */
const OF_ACCOUNTS = ['boincUrl', 'boincPasswordFile', 'boincCaFile', 'boincProject'];

/** Throws `INVALID_CONFIGURATION` with the key's name. */
export function readCmsAtHomeOptions({ queues, options }: FrameworkSettings): CmsAtHomeOptions {
  const [queue = '', ...others] = Object.keys(queues);
  if (queue === '' || others.length > 0) throw wrong('queues', 'names one queue');
  const known = new Set(OF_ACCOUNTS);
  const number = (key: string, missing: number, least: number, most: number): number => {
    known.add(key);
    const value = options[key] ?? missing;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most)
      throw wrong(`options.${key}`, `is a whole number from ${least} to ${most}`);
    return value;
  };
  const text = (key: string, pattern: RegExp, missing: string): string => {
    known.add(key);
    const value = options[key] ?? missing;
    if (typeof value !== 'string' || !pattern.test(value)) throw wrong(`options.${key}`, 'is not usable');
    return value;
  };
  known.add('servesVolunteers').add('producers');
  const { servesVolunteers = false, producers = [] } = options;
  if (typeof servesVolunteers !== 'boolean') throw wrong('options.servesVolunteers', 'is true or false');
  if (!isTexts(producers)) throw wrong('options.producers', 'is a list of names of certificates');
  const read: CmsAtHomeOptions = {
    queue,
    servesVolunteers,
    producers,
    host: text('host', /^[0-9A-Za-z.:-]{1,253}$/, '127.0.0.1'),
    port: number('port', 0, 0, 65_535),
    leaseSeconds: number('leaseSeconds', 86_400, 60, 2_592_000),
    maxPerVolunteer: number('maxPerVolunteer', 8, 1, 10_000),
    maxJobs: number('maxJobs', 10_000, 1, 10_000_000),
    maxOutputMiB: number('maxOutputMiB', 1024, 1, 1_048_576),
    site: text('site', /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/, 'cms-at-home'),
    requirements: text('requirements', /^[^\0]{0,2048}$/, 'HasCvmfs'),
    wallSeconds: number('wallSeconds', 86_400, 1, 2_592_000),
    memoryMiB: number('memoryMiB', 2048, 16, 16_777_216),
    diskMiB: number('diskMiB', 10_240, 1, 16_777_216),
  };
  const unknown = Object.keys(options).find((key) => !known.has(key));
  if (unknown !== undefined) throw wrong(`options.${unknown}`, 'is no option of a queue of CMS@home');
  return read;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '');
}

function wrong(key: string, why: string): CoPilotError {
  return new CoPilotError('INVALID_CONFIGURATION', `${key} ${why}`);
}
