import type { SubmittedJob } from '../../doubles/http-queue/queue.ts';

/** A job that the queue's adapter takes. */
export const GOOD_JOB = {
  owner: 'ann',
  campaign: 'first',
  priority: 0,
  command: 'true',
  arguments: [],
  environment: {},
  files: {},
  outputs: ['out.txt'],
  wallSeconds: 60,
  memoryMiB: 64,
  diskMiB: 16,
  requirements: '',
} as const satisfies SubmittedJob;

const without = (key: string): SubmittedJob =>
  Object.fromEntries(Object.entries(GOOD_JOB).filter(([name]) => name !== key));

/** Every field missing, and what somebody who wants harm would write. */
export const HOSTILE_JOBS: Readonly<Record<string, SubmittedJob>> = {
  ...Object.fromEntries(Object.keys(GOOD_JOB).map((key) => [`no ${key}`, without(key)])),
  nothing: {},
  'a path out of the folder': { ...GOOD_JOB, outputs: ['../../etc/passwd'] },
  'an absolute path': { ...GOOD_JOB, outputs: ['/etc/passwd'] },
  'a line end in the command': { ...GOOD_JOB, command: 'true\nrm -rf /' },
  'a zero byte in an argument': { ...GOOD_JOB, arguments: ['a\u0000b'] },
  'an argument that is no text': { ...GOOD_JOB, arguments: [{ $ne: '' }] },
  'a name of a variable that is none': { ...GOOD_JOB, environment: { 'LD_PRELOAD=x\n': '1' } },
  'an owner with a path': { ...GOOD_JOB, owner: '../root' },
  'too many outputs': { ...GOOD_JOB, outputs: Array.from({ length: 200 }, (_, at) => `out-${at}`) },
  'a number that is a text': { ...GOOD_JOB, wallSeconds: '60' },
  'a number below nothing': { ...GOOD_JOB, memoryMiB: -1 },
  'a fraction': { ...GOOD_JOB, diskMiB: 1.5 },
  'a description over what a message carries': {
    ...GOOD_JOB,
    arguments: Array.from({ length: 200 }, () => 'x'.repeat(500)),
  },
  'a key of every object': {
    ...GOOD_JOB,
    environment: JSON.parse('{"__proto__": "x", "A-B": "y"}') as object,
  },
  'files, where there is no bridge': { ...GOOD_JOB, files: { 'a.sh': '#!/bin/sh\n' } },
};
