import type { BrokerCase } from './broker-case.ts';
import { BINDING_CASES } from './cases-binding.ts';
import { ENROLMENT_CASES, ENROLMENT_FLOOD_CASES } from './cases-enrolment.ts';
import { HANDSHAKE_CASES } from './cases-handshake.ts';
import { LEASE_CASES } from './cases-leases.ts';
import { MESSAGE_CASES } from './cases-messages.ts';
import { REPORT_CASES } from './cases-reports.ts';
import { SLOT_CASES } from './cases-slots.ts';
import { START_CASES } from './cases-starts.ts';
import { STORAGE_CASES } from './cases-storage.ts';
import { TAMPERED_FRAME_CASES } from './cases-tampered-frames.ts';
import { TAMPERED_HANDSHAKE_CASES } from './cases-tampered-handshake.ts';

/** In the order they begin: what waits longest first, what spends an agent last. */
export const BROKER_CASES: readonly BrokerCase[] = [
  ...SLOT_CASES.toReversed(),
  ...BINDING_CASES,
  ...HANDSHAKE_CASES,
  ...TAMPERED_HANDSHAKE_CASES,
  ...TAMPERED_FRAME_CASES,
  ...MESSAGE_CASES,
  ...REPORT_CASES,
  ...STORAGE_CASES,
  ...ENROLMENT_CASES,
  ...START_CASES.toReversed(),
  ...LEASE_CASES,
  ...ENROLMENT_FLOOD_CASES,
];
