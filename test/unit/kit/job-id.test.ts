import { expect, it } from 'vitest';
import { jobIdOf } from '../../../adapters/jobs/kit/job-id.ts';

it('names the same job alike in every process, by 26 characters of base32', () => {
  expect(jobIdOf('panda', 'https://server', '17', '0')).toBe(jobIdOf('panda', 'https://server', '17', '0'));
  expect(jobIdOf('panda', 'https://server', '17', '0')).toMatch(/^[a-z2-7]{26}$/);
  // The exact text: another one would make every job under way another job.
  expect(jobIdOf('panda', 'https://server', '17', '0')).toBe('levqxwwv24qdyj2m6kc4g37gji');
});

it('tells apart what only together is the same text', () => {
  const ids = [
    jobIdOf('a', 'bc'),
    jobIdOf('ab', 'c'),
    jobIdOf('abc'),
    jobIdOf('a', 'b', 'c'),
    jobIdOf('a","bc'),
  ];
  expect(new Set(ids).size).toBe(ids.length);
});
