/**
 * Runs the function of a proxy auto-configuration file (wpad.dat in the current directory) and prints what it answers. Whatever the file
 * does stays in the jail that this runs in: without a network, so that names are not resolved.
 * usage: node -e FIND_PROXY URL OWN_ADDRESS
 */
const { readFileSync } = require('node:fs');

const [, url, ownAddress] = process.argv;

const numberOf = (address) => {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address)?.slice(1).map(Number);
  return parts?.every((part) => part < 256) ? parts.reduce((sum, part) => sum * 256 + part, 0) : undefined;
};
const dnsResolve = (host) => (numberOf(host) === undefined ? null : host);

const helpers = {
  isPlainHostName: (host) => !host.includes('.'),
  dnsDomainIs: (host, domain) => host.endsWith(domain),
  localHostOrDomainIs: (host, full) => host === full || (!host.includes('.') && full.startsWith(`${host}.`)),
  isResolvable: (host) => dnsResolve(host) !== null,
  dnsResolve,
  isInNet(host, pattern, mask) {
    const [address, network, bits] = [dnsResolve(host) ?? '', pattern, mask].map(numberOf);
    if (address === undefined || network === undefined || bits === undefined) return false;
    return (address & bits) >>> 0 === (network & bits) >>> 0;
  },
  myIpAddress: () => ownAddress,
  dnsDomainLevels: (host) => host.split('.').length - 1,
  shExpMatch(text, pattern) {
    const source = pattern
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.');
    return new RegExp(`^${source}$`, 's').test(text);
  },
};

const find = new Function(
  ...Object.keys(helpers),
  `${readFileSync('wpad.dat', 'utf8')}\n;return FindProxyForURL;`,
)(...Object.values(helpers));
process.stdout.write(String(find(url, new URL(url).hostname)));
