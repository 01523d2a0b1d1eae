import { describe, expect, it } from 'vitest';
import { callerInode } from '../../../agent/pilot/connection-owner.ts';

const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
const row = (local: string, remote: string, inode: number): string =>
  `   1: ${local} ${remote} 01 00000000:00000000 00:00000000 00000000  1000        0 ${inode} 1 0000000000000000 20 4 30 10 -1`;

describe('whose a connection over the loopback is', () => {
  it('is the socket at the caller’s end, not ours', () => {
    const table = [
      HEAD,
      row('0100007F:1F90', '0100007F:9C40', 11),
      row('0100007F:9C40', '0100007F:1F90', 22),
      row('0100007F:9C40', '0100007F:1F91', 33),
    ].join('\n');
    expect(callerInode(table, { ownPort: 0x1f90, callerPort: 0x9c40 })).toBe(22);
    expect(callerInode(table, { ownPort: 0x1f90, callerPort: 0x9c41 })).toBeUndefined();
  });

  it('is found where the caller speaks IPv6 with an address of IPv4', () => {
    const mapped = '0000000000000000FFFF00000100007F';
    expect(
      callerInode(row(`${mapped}:9C40`, `${mapped}:1F90`, 7), { ownPort: 0x1f90, callerPort: 0x9c40 }),
    ).toBe(7);
  });

  it.each([
    ['an address that is no loopback', row('0200007F:9C40', '0100007F:1F90', 5)],
    ['a socket nobody has open any more', row('0100007F:9C40', '0100007F:1F90', 0)],
    ['half a line', '   1: 0100007F:9C40 0100007F:1F90 01'],
    ['nothing', ''],
  ])('%s is nobody’s', (_what, table) => {
    expect(callerInode(table, { ownPort: 0x1f90, callerPort: 0x9c40 })).toBeUndefined();
  });
});
