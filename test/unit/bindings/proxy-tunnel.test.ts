import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTunnel, proxyFor } from '../../../protocol/bindings/proxy-tunnel.ts';
import { type ConnectProxy, openConnectProxy } from '../../doubles/connect-proxy.ts';

const PROXY = { NODE_USE_ENV_PROXY: '1', HTTPS_PROXY: 'http://proxy.example.org:3128' };
const TO = { hostname: 'bus.example.org', port: 443 };

describe('the proxy for a destination', () => {
  it.each([
    ['is the one that the environment names', PROXY, 'proxy.example.org:3128'],
    ['is the one in small letters first', { ...PROXY, https_proxy: 'http://other:1' }, 'other:1'],
    ['is none where it was not asked for', { HTTPS_PROXY: PROXY.HTTPS_PROXY }, undefined],
    ['is none where there is none', { NODE_USE_ENV_PROXY: '1', HTTPS_PROXY: '' }, undefined],
    ['is not that of HTTP', { NODE_USE_ENV_PROXY: '1', HTTP_PROXY: 'http://other:1' }, undefined],
  ])('%s', (_what, environment, host) => {
    expect(proxyFor(TO, environment)?.host).toBe(host);
  });

  it.each([
    ['*', TO, true],
    ['bus.example.org', TO, true],
    ['BUS.example.ORG', TO, true],
    ['other.example.org, bus.example.org', TO, true],
    ['.example.org', TO, true],
    ['*.example.org', TO, true],
    ['example.org', TO, false],
    ['s.example.org', TO, false],
    ['bus.example.org:443', TO, true],
    ['bus.example.org:5671', TO, false],
    ['.example.org:443', TO, true],
    ['192.0.2.7', { hostname: '192.0.2.7', port: 443 }, true],
    ['192.0.2.1-192.0.2.9', { hostname: '192.0.2.7', port: 443 }, true],
    ['192.0.2.1-192.0.2.6', { hostname: '192.0.2.7', port: 443 }, false],
    ['192.0.2.9-192.0.2.1', { hostname: '192.0.2.7', port: 443 }, false],
    ['2001:db8::1', { hostname: '2001:db8::1', port: 443 }, true],
    ['[2001:db8::1]:443', { hostname: '2001:db8::1', port: 443 }, true],
    ['2001:db8::1-2001:db8::9', { hostname: '2001:db8::5', port: 443 }, true],
    ['192.0.2.1-192.0.2.9', TO, false],
    ['', TO, false],
  ])('is passed by with NO_PROXY=%s', (excepted, to, isPassed) => {
    expect(proxyFor(to, { ...PROXY, NO_PROXY: excepted }) === undefined).toBe(isPassed);
  });

  it.each(['proxy.example.org:3128', 'socks5://proxy.example.org', 'nothing'])('must not be %s', (proxy) => {
    expect(() => proxyFor(TO, { ...PROXY, HTTPS_PROXY: proxy })).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
    );
  });
});

describe('a tunnel through a proxy', () => {
  let proxy: ConnectProxy;
  let server: Server;
  beforeEach(async () => {
    proxy = await openConnectProxy();
    server = createServer((socket) => socket.on('error', () => undefined).pipe(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    proxy.leadTo((server.address() as AddressInfo).port);
  });
  afterEach(async () => {
    await proxy.close();
    server.close();
  });

  it('carries bytes both ways, and says who asks where that is in the address', async () => {
    const address = new URL(proxy.url);
    Object.assign(address, { username: 'some one', password: 'p@ss' });
    const tunnel = await openTunnel(address, TO);
    tunnel.write('hello');
    const [echo] = (await once(tunnel, 'data')) as [Buffer];
    expect(echo.toString()).toBe('hello');
    tunnel.destroy();
    const login = `Basic ${Buffer.from('some one:p@ss').toString('base64')}`;
    expect(proxy.asked).toEqual([{ place: 'bus.example.org:443', login }]);
    const other = await openTunnel(new URL(proxy.url), { hostname: '::1', port: 1 });
    other.destroy();
    expect(proxy.asked[1]).toEqual({ place: '[::1]:1', login: undefined });
  });

  it.each([
    ['403 Forbidden', '403'],
    ['407 Proxy Authentication Required', '407'],
    ['no HTTP at all', 'Parse Error'],
  ])('is none where the proxy answers %s', async (status, reason) => {
    proxy.answer(status);
    await expect(openTunnel(new URL(proxy.url), TO)).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringContaining(reason),
    });
  });

  it('is none where there is no proxy, nor where nobody waits for it any more', async () => {
    proxy.answer(undefined);
    const stop = new AbortController();
    const opening = openTunnel(new URL(proxy.url), TO, stop.signal);
    const failed = expect(opening).rejects.toMatchObject({ code: 'UNREACHABLE' });
    stop.abort();
    await failed;
    await proxy.close();
    await expect(openTunnel(new URL(proxy.url), TO)).rejects.toMatchObject({ code: 'UNREACHABLE' });
    proxy = await openConnectProxy();
  });
});
