/** Whether what goes to an address cannot be read on its way. */
export function isSafe(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  // An XMPP server off this machine is asked for TLS before a login.
  return ['https:', 'wss:', 'amqps:', 'xmpps:', 'xmpp:'].includes(protocol) || isLoopback(hostname);
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(?:\.[0-9]{1,3}){3}$/.test(host);
}
