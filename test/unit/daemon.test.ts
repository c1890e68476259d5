/** Threads that are told to stop, and one that does not listen. */
import { expect, test } from 'vitest';
import { CrossfadeError } from '../../src/core/errors.ts';
import { supervise, threadPart } from '../../src/runtime/daemon.ts';

const entryOf = (code: string) => new URL(`data:text/javascript,${encodeURIComponent(code)}`);
const threads = `import { parentPort } from 'node:worker_threads'; parentPort.on('message', () => `;

function stage(code: string) {
  const stop = new AbortController();
  const warnings: CrossfadeError[] = [];
  const part = threadPart({
    name: 'apply orders',
    entry: entryOf(code),
    workerData: undefined,
    onMessage: () => stop.abort(),
    onCutShort: (warning) => warnings.push(warning),
    drainMs: 300,
  });
  return { warnings, ended: supervise([part], stop.signal) };
}

test('G10: a thread that does not end in time after a stop is a warning with its own code, and no failure', async () => {
  const { warnings, ended } = stage(`${threads} 0); parentPort.postMessage('runs');`);
  await expect(ended).resolves.toBeUndefined();
  expect(warnings).toMatchObject([{ code: 'STOP_CUT_SHORT', message: 'thread apply orders did not stop within 0.3 s and was ended' }]);
});

test('one that listens ends without a word', async () => {
  const { warnings, ended } = stage(`${threads} parentPort.close()); parentPort.postMessage('runs');`);
  await expect(ended).resolves.toBeUndefined();
  expect(warnings).toEqual([]);
});

test('what a thread says last is its failure, also while it is stopped', async () => {
  const failure = `{ failure: { code: 'TARGET_AUTH', fault: 'fatal', message: 'refused', remedy: 'mend' } }`;
  const { warnings, ended } = stage(
    `${threads} { parentPort.postMessage(${failure}); parentPort.close(); }); parentPort.postMessage('runs');`,
  );
  await expect(ended).rejects.toMatchObject({ code: 'TARGET_AUTH', fault: 'fatal' });
  expect(warnings).toEqual([]);
});

test('a part that fails for several reasons ends with each of them, and not with an unforeseen error', async () => {
  const refused = (code: 'SOURCE_TABLE_KEYLESS' | 'TARGET_TABLE_MISSING') =>
    new CrossfadeError({ code, fault: 'fatal', message: code, remedy: 'mend' });
  const run = async () => {
    throw new AggregateError([refused('SOURCE_TABLE_KEYLESS'), refused('TARGET_TABLE_MISSING')], 'late');
  };
  await expect(supervise([{ name: 'checks', run }], new AbortController().signal)).rejects.toMatchObject({
    errors: [{ code: 'SOURCE_TABLE_KEYLESS' }, { code: 'TARGET_TABLE_MISSING' }],
  });
});
