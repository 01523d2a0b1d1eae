import { generateKeyPairSync, sign, verify } from 'node:crypto';

/** What an envelope allows, and of which file. */
export interface Ticket {
  readonly turl: string;
  readonly access: 'read' | 'write-once' | 'delete';
  readonly lfn: string;
  readonly guid: string;
  readonly se: string;
  readonly size: string;
  readonly md5: string;
}

/** Signed envelopes: `key=value` joined by `&`, the signature last, over all before it. */
export interface Envelopes {
  seal(ticket: Ticket): string;
  /** Undefined for what was not signed here. */
  open(text: string): Ticket | undefined;
}

export function createEnvelopes(): Envelopes {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    seal(ticket) {
      const text = Object.entries(ticket)
        .map(([key, value]) => `${key}=${value}`)
        .join('&');
      return `${text}&signature=${sign(null, Buffer.from(text), privateKey).toString('hex')}`;
    },
    open(text) {
      const at = text.lastIndexOf('&signature=');
      if (at < 0) return undefined;
      const signature = Buffer.from(text.slice(at + '&signature='.length), 'hex');
      if (!verify(null, Buffer.from(text.slice(0, at)), publicKey, signature)) return undefined;
      const fields = text
        .slice(0, at)
        .split('&')
        .map((field) => {
          const equal = field.indexOf('=');
          return [field.slice(0, equal), field.slice(equal + 1)] as const;
        });
      return Object.fromEntries(fields) as unknown as Ticket;
    },
  };
}
