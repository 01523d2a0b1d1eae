/** Runs one seed of the simulator and prints what happened: `node test/simulation/one-seed.ts SEED [BUSES]`. */
import { runScenario } from './scenario.ts';

const seed = Number(process.argv[2] ?? 1);
const result = await runScenario(seed, process.argv[3] === '2' ? 2 : 1);
console.log(result.lines.join('\n'));
console.log(`seed ${seed}: ${result.attempts} attempts, ${result.tookMs / 1000} simulated seconds`);
for (const fault of result.faults) console.log(`FAULT ${fault}`);
process.exitCode = result.faults.length === 0 ? 0 : 1;
