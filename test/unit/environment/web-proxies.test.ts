import { beforeEach, describe, expect, it } from 'vitest';
import { WebProxies } from '../../../agent/environment/web-proxies.ts';
import type { Offer, Share } from '../../../agent/environment/web-proxies.ts';
import { offerIn } from '../../../agent/environment/wpad.ts';

let offer: Offer;
let dead: Set<string>;
let proxies: WebProxies;
const never = new AbortController().signal;

beforeEach(() => {
  offer = { proxies: ['http://a:1', 'http://b:1'], direct: false };
  dead = new Set();
  proxies = new WebProxies({
    offer: () => Promise.resolve(offer),
    answers: (proxy) => Promise.resolve(!dead.has(proxy)),
    jobsPerProxy: 2,
  });
});

const take = (): Promise<Share> => proxies.take(never);
const urlOf = (share: Share): string => (share.kind === 'proxy' ? share.url : share.kind);
const leave = (share: Share | undefined): void => {
  if (share?.kind === 'proxy') share.leave();
};

describe('web proxies that jobs share', () => {
  it('fill up one after the other, and a job waits where all are full', async () => {
    const shares = [await take(), await take(), await take(), await take()];
    expect(shares.map(urlOf)).toEqual(['http://a:1', 'http://a:1', 'http://b:1', 'http://b:1']);
    let waited: Share | undefined;
    const fifth = take().then((share) => (waited = share));
    await new Promise((resolve) => setImmediate(resolve));
    expect(waited).toBeUndefined();
    leave(shares[2]);
    leave(shares[2]);
    expect(urlOf(await fifth)).toBe('http://b:1');
  });

  it('are never given beyond their cap, though many ask at once', async () => {
    const shares = Array.from({ length: 4 }, take);
    const got = (await Promise.all(shares)).map(urlOf).toSorted();
    expect(got).toEqual(['http://a:1', 'http://a:1', 'http://b:1', 'http://b:1']);
  });

  it('a share left twice is left once', async () => {
    const [first] = [await take(), await take()];
    leave(first);
    leave(first);
    expect([await take(), await take()].map(urlOf)).toEqual(['http://a:1', 'http://b:1']);
  });

  it('one that does not answer is passed over; where none does, there is none', async () => {
    dead.add('http://a:1');
    expect(urlOf(await take())).toBe('http://b:1');
    dead.add('http://b:1');
    expect(await take()).toEqual({
      kind: 'none',
      reason: 'no web proxy answers: http://a:1, http://b:1',
    });
  });

  it('a job goes direct only where that is allowed', async () => {
    dead = new Set(offer.proxies);
    offer = { ...offer, direct: true };
    expect(await take()).toEqual({ kind: 'direct' });
    offer = { proxies: [], direct: false };
    expect(await take()).toMatchObject({ kind: 'none', reason: expect.stringContaining('none is named') });
  });

  it('whoever waits and goes away is let go', async () => {
    for (let job = 0; job < 4; job++) await take();
    const asker = new AbortController();
    const share = proxies.take(asker.signal);
    asker.abort();
    expect(await share).toEqual({ kind: 'given-up' });
    expect(await proxies.take(asker.signal)).toEqual({ kind: 'given-up' });
  });
});

describe('what an auto-configuration file answers', () => {
  it.each([
    ['PROXY squid:3128; DIRECT', ['http://squid:3128'], true],
    ['PROXY http://a:1;PROXY http://b:2', ['http://a:1', 'http://b:2'], false],
    ['proxy a:1 ; PROXY a:1', ['http://a:1'], false],
    ['DIRECT', [], true],
    ['SOCKS a:1; HTTPS b:1', [], false],
    ['PROXY u:p@a:1; PROXY ../x; PROXY', [], false],
    ['undefined', [], false],
    [
      Array.from({ length: 40 }, (_, n) => `PROXY p${n}:1`).join(';'),
      expect.objectContaining({ length: 32 }),
      false,
    ],
  ])('%j', (answer, found, direct) => {
    expect(offerIn(answer)).toEqual({ proxies: found, direct });
  });
});
