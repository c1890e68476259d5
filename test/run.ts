/**
 * `npm test` and `npm run test:long`: chooses the vitest projects, says what runs and for how long it may, and ends with
 * `N passed, N failed` from the runner's own result, where a skip that is not in the list counts as failed.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { skipsOf, type TestResult } from './support/allowed-skips.ts';
import { extentText, longer } from './support/extent.ts';

interface RunnerResult {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly success: boolean;
  readonly testResults: readonly TestResult[];
}

const everything = ['unit', 'simulation', 'contract', 'integration', 'chaos'];
const longProjects = ['simulation', 'integration', 'chaos'];

const { values, positionals } = parseArgs({
  options: {
    long: { type: 'boolean', default: false },
    minutes: { type: 'string' },
    project: { type: 'string', multiple: true },
  },
  allowPositionals: true,
});
const projects = values.project ?? (values.long ? longProjects : everything);
/** A broker lives for seconds here, dozens of times: half of its start's work would go into optimising code for a long life. */
const shortLives = { JDK_JAVA_OPTIONS: '-XX:TieredStopAtLevel=1' };
/** Where everything runs, one MariaDB and one Kafka for all instead of one a file; for a file or two they would be started in vain. */
const sharedServers = positionals.length === 0 ? { CROSSFADE_TEST_SERVERS: 'mysql,mariadb,postgres,redis,kafka' } : {};
const env: NodeJS.ProcessEnv = { ...shortLives, ...sharedServers, ...(values.long ? longer : {}), ...process.env };
const folder = await mkdtemp(join(tmpdir(), 'crossfade-test-'));
const outcome = join(folder, 'result.json');
const startedMs = Date.now();
/** Chaos on both logs, each for as long as it is promised, takes hours. */
const minutes = Number(values.minutes ?? (values.long ? 360 : 60));

console.log(`tests: ${projects.join(', ')}${extentText(values.long, process.env)}`);
const exitCode = await run();
const result = await readFile(outcome, 'utf8')
  .then((text) => JSON.parse(text) as RunnerResult)
  .catch(() => undefined);
await rm(folder, { recursive: true, force: true });
const seconds = Math.round((Date.now() - startedMs) / 1000);
if (result === undefined) {
  console.log(`tests: the runner left no result after ${seconds} s (exit ${exitCode})`);
  console.log('0 passed, 1 failed');
  process.exitCode = 1;
} else {
  console.log(`tests: ${projects.join(', ')} took ${seconds} s${extentText(values.long, process.env)}`);
  // A suite that fails outside of its tests (a hook, an import) counts as one failure: it must never look green.
  const failed = result.numFailedTests === 0 && (exitCode !== 0 || !result.success) ? 1 : result.numFailedTests;
  const skips = skipsOf(result.testResults, env);
  for (const line of skips.lines) console.log(line);
  if (skips.lines.length > 0) console.log(`${skips.lines.length} skipped, ${skips.refused} of them not allowed`);
  // Other programs read this line; nothing may stand in it or behind it.
  console.log(`${result.numPassedTests} passed, ${failed + skips.refused} failed`);
  process.exitCode = failed + skips.refused === 0 && result.numPassedTests > 0 ? 0 : 1;
}

async function run(): Promise<number> {
  const vitest = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url));
  // Chaos is two projects: what measures runs alone.
  const chosen = projects.flatMap((name) => ['--project', name === 'chaos' ? 'chaos*' : name]);
  const args = [vitest, 'run', ...chosen, '--reporter=default', '--reporter=json', `--outputFile.json=${outcome}`, ...positionals];
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env,
  });
  const deadline = setTimeout(() => child.kill('SIGTERM'), minutes * 60_000);
  const code = await new Promise<number>((resolve) => child.once('exit', (exit) => resolve(exit ?? 1)));
  clearTimeout(deadline);
  return code;
}
