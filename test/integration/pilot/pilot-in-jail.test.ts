import { describe } from 'vitest';
import { pilotInJail } from './pilot-in-jail.ts';

describe('a pilot in a jail: bubblewrap', () => pilotInJail('bubblewrap'));
