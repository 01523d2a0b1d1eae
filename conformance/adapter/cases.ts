import type { AdapterCase } from './adapter-case.ts';
import { JOB_CASES } from './cases-job.ts';
import { SESSION_CASES } from './cases-session.ts';
import { STORAGE_CASES } from './cases-storage.ts';

export const ADAPTER_CASES: readonly AdapterCase[] = [...SESSION_CASES, ...JOB_CASES, ...STORAGE_CASES];
