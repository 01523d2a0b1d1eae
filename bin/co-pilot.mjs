#!/usr/bin/env node
import { ours, start } from './start.mjs';

await start('run', () => [ours('co-pilot.ts'), ...process.argv.slice(2)]);
