/**
 * Loaded into a Crossfade process with `node --import`: waits at every fault point for an order in the file that
 * CROSSFADE_TEST_FAULT_FILE names ("<point> <SIGNAL>"), consumes it and sends the signal to its own process. Ends with its test.
 */
import { subscribe } from 'node:diagnostics_channel';
import { readFileSync, unlinkSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { faultPoints } from '../../../src/core/fault-point.ts';

const file = process.env['CROSSFADE_TEST_FAULT_FILE'];
if (file !== undefined) {
  for (const point of faultPoints) {
    subscribe(`crossfade:${point}`, () => {
      const signal = orderFor(file, point);
      if (signal !== undefined) process.kill(process.pid, signal);
      // A signal is delivered asynchronously to other threads: this one must not run on in the meantime.
      if (signal !== undefined) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    });
  }
}

// A test run that was ended from outside cannot end what it started.
const startedBy = process.ppid;
if (isMainThread) setInterval(() => process.ppid === startedBy || process.kill(process.pid, 'SIGKILL'), 2000).unref();

function orderFor(path: string, point: string): NodeJS.Signals | undefined {
  try {
    const [wanted, signal] = readFileSync(path, 'utf8').split(' ');
    if (wanted !== point) return undefined;
    unlinkSync(path);
    return signal as NodeJS.Signals;
  } catch {
    return undefined;
  }
}
