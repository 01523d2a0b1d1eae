import { describe, expect, it } from 'vitest';
import { environmentIn, proxyUrl } from '../../../agent/environment/environment-file.ts';

const SHA = 'a'.repeat(64);
const read = (text: string) => environmentIn(text, '/etc/co-pilot');

describe('what an operator says of a site', () => {
  it('is read with its defaults, paths from where the file lies', () => {
    const text = `
variables:
  GLIDEIN_CMSSite: T3_CH_Volunteer
  OMP_NUM_THREADS: 1
siteconf: SITECONF/local
validation:
  bundle: checks.tar.gz
  sha256: ${SHA}
webProxies:
  proxies: [squid.example.org:3128, "http://other.example.org:3128/"]
cvmfs:
  repositories: [cms.cern.ch]
  parrot: /usr/bin/parrot_run
`;
    expect(read(text)).toEqual({
      variables: { GLIDEIN_CMSSite: 'T3_CH_Volunteer', OMP_NUM_THREADS: '1' },
      siteconf: '/etc/co-pilot/SITECONF/local',
      validation: { bundle: '/etc/co-pilot/checks.tar.gz', sha256: SHA, wallSeconds: 300 },
      webProxies: {
        source: {
          kind: 'list',
          proxies: ['http://squid.example.org:3128', 'http://other.example.org:3128'],
        },
        jobsPerProxy: 16,
        direct: false,
      },
      cvmfs: { repositories: ['cms.cern.ch'], parrot: '/usr/bin/parrot_run' },
    });
    expect(read('')).toEqual({ variables: {} });
    expect(read('webProxies: {wpad: "http://wpad/wpad.dat", direct: true, jobsPerProxy: 2}')).toMatchObject({
      webProxies: {
        source: { kind: 'wpad', url: 'http://wpad/wpad.dat', target: 'http://cvmfs-stratum-one.cern.ch/' },
        jobsPerProxy: 2,
        direct: true,
      },
    });
    expect(read(`validation: {bundle: "https://x.example.org/b", sha256: ${SHA}}`)).toMatchObject({
      validation: { bundle: 'https://x.example.org/b' },
    });
  });

  it.each([
    ['no YAML', 'a: [', 'it is no YAML'],
    ['a list', '- a', 'it is not made of names'],
    ['an alias, which can be a bomb', 'variables: &a {A: b}\nsiteconf: *a', 'it is no YAML'],
    ['a name it does not know', 'squid: x', 'squid is not known'],
    ['a variable of the agent', 'variables: {COPILOT_JOB: x}', 'variables.COPILOT_JOB'],
    ['a variable that loads code into everything', 'variables: {LD_PRELOAD: /x.so}', 'variables.LD_PRELOAD'],
    ['a variable without a name', 'variables: {"A B": x}', 'variables.A B'],
    ['a line break in a value', 'variables: {A: "a\\nb"}', 'variables.A'],
    [
      'too many variables',
      `variables: {${Array.from({ length: 33 }, (_, n) => `A${n}: x`).join()}}`,
      'variables',
    ],
    ['a digest that is none', 'validation: {bundle: x, sha256: ABC}', 'validation.sha256'],
    ['no bundle', `validation: {sha256: ${SHA}}`, 'validation.bundle'],
    ['no time', `validation: {bundle: x, sha256: ${SHA}, wallSeconds: 0}`, 'validation.wallSeconds'],
    ['proxies and wpad', 'webProxies: {proxies: [a:1], wpad: "http://w/"}', 'webProxies has either'],
    ['neither', 'webProxies: {direct: true}', 'webProxies has either'],
    ['a proxy with a password', 'webProxies: {proxies: ["http://u:p@a:1"]}', 'webProxies.proxies[0]'],
    ['no proxy at all', 'webProxies: {proxies: []}', 'webProxies.proxies'],
    ['a wpad that is no URL', 'webProxies: {wpad: "file:///etc/passwd"}', 'webProxies.wpad'],
    ['a repository that climbs', 'cvmfs: {repositories: ["../etc"]}', 'cvmfs.repositories[0]'],
    ['no repository', 'cvmfs: {parrot: /x}', 'cvmfs.repositories'],
    ['a parrot looked for by name', 'cvmfs: {repositories: [a.b], parrot: parrot_run}', 'cvmfs.parrot'],
    ['too much', `# ${'x'.repeat(70_000)}`, 'it has more than'],
  ])('%s is refused, with the place', (_what, text, place) => {
    expect(() => read(text)).toThrow(
      expect.objectContaining({
        code: 'INVALID_CONFIGURATION',
        message: expect.stringContaining(`the environment file: ${place}`),
      }),
    );
  });

  it.each([
    ['squid:3128', 'http://squid:3128'],
    ['http://10.0.0.1:3128/', 'http://10.0.0.1:3128'],
    ['squid', 'http://squid:80'],
    ['https://squid:3128', undefined],
    ['http://squid:3128/path', undefined],
    ['', undefined],
    ['a b:1', undefined],
  ])('as a proxy %j is %j', (text, url) => {
    expect(proxyUrl(text)).toBe(url);
  });
});
