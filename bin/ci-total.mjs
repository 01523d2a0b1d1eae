/** Adds up what the tests and the checks left in `.run/`: `N passed, N failed`, exit code 0 only where all went well. */
import { readFileSync } from 'node:fs';

const [testsExit, checksExit] = process.argv.slice(2).map(Number);

/** Without a report, or where the exit code says more than the report does, that is one failure. */
function read(name, exit) {
  try {
    const { passed, failed } = JSON.parse(
      readFileSync(new URL(`../.run/${name}/report.json`, import.meta.url), 'utf8'),
    );
    return { passed, failed: failed === 0 && exit !== 0 ? 1 : failed };
  } catch {
    return { passed: 0, failed: 1 };
  }
}

const tests = read('test', testsExit);
const checks = read('check', checksExit);
const failed = tests.failed + checks.failed + (tests.passed + tests.failed === 0 ? 1 : 0);
console.log(`${tests.passed + checks.passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
