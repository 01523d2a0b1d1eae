import { CoPilotError } from '../../../protocol/errors.ts';
import type { FrameworkSettings } from '../kit/framework-kind.ts';

/** What a CRAB adapter is told (docs/crab.md has each with its default). */
export interface CrabOptions {
  /** The broker's queue, and the TaskWorker name under which tasks are claimed for it. */
  readonly queue: string;
  readonly worker: string;
  /** `CMSRunAnalysis.tar.gz` as the site builds it. */
  readonly wrapperFile: string;
  /** The site's name in CMS: where jobs say they ran, and where the temporary copies lie. */
  readonly cmsSite: string;
  /** The broker's name of the site. */
  readonly site: string;
  /** Where temporary copies are put, by HTTP; empty where nothing is put anywhere. */
  readonly stageOutUrl: string;
  /** What the schedd column of a task is set to: tells our tasks from those of other workers. */
  readonly schedd: string;
  readonly requirements: string;
  readonly diskMiB: number;
  /** Tries after the first one, where the code allows them. */
  readonly automaticRetries: number;
  readonly bannedUsers: readonly string[];
  /** Tasks that are claimed at a time. */
  readonly maxTasks: number;
  readonly pollSeconds: number;
  readonly transferPollSeconds: number;
  /** Where node states are served; 0 chooses a port. */
  readonly statusPort: number;
  readonly statusHost: string;
  /** What CRAB is told as the address of it; its own where it is empty. */
  readonly statusUrl: string;
  /** Hosts that sandboxes may be fetched from, beside CRAB's own. */
  readonly sandboxHosts: readonly string[];
}

/** Throws `INVALID_CONFIGURATION` with the key's name. */
export function readCrabOptions({ queues, options }: FrameworkSettings): CrabOptions {
  const [[queue, worker] = ['', ''], ...others] = Object.entries(queues);
  if (queue === '' || others.length > 0)
    throw wrong('queues', 'names one queue: each TaskWorker name is an adapter of its own');
  if (!/^[A-Za-z0-9._-]{1,100}$/.test(worker))
    throw wrong('queues', 'names a TaskWorker in letters, digits, . _ -');
  const known = new Set<string>();
  const text = (key: string, pattern: RegExp, missing?: string): string => {
    known.add(key);
    const value = options[key] ?? missing;
    if (typeof value !== 'string' || !pattern.test(value))
      throw wrong(`options.${key}`, value === undefined ? 'has to be set' : 'is not usable');
    return value;
  };
  const number = (key: string, missing: number, least: number, most: number): number => {
    known.add(key);
    const value = options[key] ?? missing;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most)
      throw wrong(`options.${key}`, `is a whole number from ${least} to ${most}`);
    return value;
  };
  const list = (key: string, pattern: RegExp): readonly string[] => {
    known.add(key);
    const value = options[key] ?? [];
    if (!isTexts(value) || !value.every((item) => pattern.test(item)))
      throw wrong(`options.${key}`, 'is no usable list');
    return value;
  };
  const url = /^(?:https?:\/\/[^\s/?#]+(?:\/[^\s?#]*)?)?$/;
  const read: CrabOptions = {
    queue,
    worker,
    wrapperFile: text('wrapperFile', /^\/[^\0]+$/),
    cmsSite: text('cmsSite', /^T[0-3]_[A-Z]{2}_[A-Za-z0-9_]{1,60}$/),
    site: text('site', /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/, 'crab'),
    stageOutUrl: text('stageOutUrl', url, '').replace(/\/$/, ''),
    schedd: text('schedd', /^[A-Za-z0-9._@-]{1,100}$/, `co-pilot@${worker}`),
    requirements: text('requirements', /^[^\0]{0,2048}$/, 'HasCvmfs'),
    diskMiB: number('diskMiB', 20_480, 1, 16_777_216),
    automaticRetries: number('automaticRetries', 2, 0, 20),
    bannedUsers: list('bannedUsers', /^[a-z][a-z0-9_]{0,19}$/),
    maxTasks: number('maxTasks', 100, 1, 10_000),
    pollSeconds: number('pollSeconds', 30, 1, 3600),
    transferPollSeconds: number('transferPollSeconds', 300, 1, 86_400),
    statusPort: number('statusPort', 0, 0, 65_535),
    statusHost: text('statusHost', /^[0-9A-Za-z.:-]{1,253}$/, '127.0.0.1'),
    statusUrl: text('statusUrl', url, '').replace(/\/$/, ''),
    sandboxHosts: list('sandboxHosts', /^[A-Za-z0-9.-]{1,253}$/),
  };
  const unknown = Object.keys(options).find((key) => !known.has(key));
  if (unknown !== undefined)
    throw wrong(`options.${unknown}`, `is no option of a CRAB adapter; known are ${[...known].join(', ')}`);
  return read;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function wrong(key: string, why: string): CoPilotError {
  return new CoPilotError('INVALID_CONFIGURATION', `${key} ${why}`);
}
