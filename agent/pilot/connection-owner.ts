import { readFileSync } from 'node:fs';

/** A connection over the loopback as the side that was called sees it. */
export interface Loopback {
  readonly ownPort: number;
  readonly callerPort: number;
}

/** 127.0.0.1 as /proc/net writes it, alone and inside an IPv6 address. */
const LOOPBACKS = ['0100007F', '0000000000000000FFFF00000100007F'];
const COLUMN = { local: 1, remote: 2, inode: 9 } as const;

/** The socket of the caller's end in one table of /proc/net/tcp or tcp6; undefined where there is none, or nobody has it open. */
export function callerInode(table: string, { ownPort, callerPort }: Loopback): number | undefined {
  for (const line of table.split('\n')) {
    const columns = line.trim().split(/\s+/);
    const isCaller =
      isAt(columns[COLUMN.local], callerPort) &&
      isAt(columns[COLUMN.remote], ownPort) &&
      columns.length > COLUMN.inode;
    const inode = Number(columns[COLUMN.inode]);
    if (isCaller && inode > 0) return inode;
  }
  return undefined;
}

/** As the kernel has it now; undefined where there is no /proc, or the caller has gone. */
export function findCaller(connection: Loopback): number | undefined {
  return callerInode(tableOf('tcp'), connection) ?? callerInode(tableOf('tcp6'), connection);
}

function tableOf(name: 'tcp' | 'tcp6'): string {
  try {
    return readFileSync(`/proc/self/net/${name}`, 'latin1');
  } catch {
    return ''; // no Linux, or no such protocol here
  }
}

function isAt(address: string | undefined, port: number): boolean {
  const [host = '', hexadecimal = ''] = address?.split(':') ?? [];
  return LOOPBACKS.includes(host) && Number.parseInt(hexadecimal, 16) === port;
}
