/** The thread that appends, as tests start it: see sqlite-faults.ts. */
import { subscribe } from 'node:diagnostics_channel';
import { getEnvironmentData, parentPort, workerData } from 'node:worker_threads';
import { type AppendTask, serveAppends } from '../../connectors/sqlite/append-service.ts';
import { codec } from '../../src/codec.ts';
import { invariant } from '../../src/core/assert.ts';
import { type FaultPoint, faultPoints } from '../../src/core/fault-point.ts';
import { countAt, faultKey, type FaultState, releaseAt } from './sqlite-faults.ts';

const state = getEnvironmentData(faultKey) as FaultState | undefined;
const passings = new Map<FaultPoint, number>();

function passes({ cells, orders }: FaultState, point: FaultPoint, number: number): void {
  const passing = (passings.get(point) ?? 0) + 1;
  passings.set(point, passing);
  const count = Atomics.load(cells, countAt);
  cells[countAt + 1 + count] = number;
  Atomics.store(cells, countAt, count + 1);
  const order = orders.find((each) => each.point === point && each.passing === passing);
  if (order?.does === 'throw') throw new RangeError('ordered by a test');
  if (order?.does === 'kill') process.kill(process.pid, 'SIGKILL');
  if (order) Atomics.wait(cells, releaseAt, 0, 60_000);
}

if (state) for (const [number, point] of faultPoints.entries()) subscribe(`crossfade:${point}`, () => passes(state, point, number));
invariant(parentPort !== null, 'this file is the entry of a thread');
await serveAppends(parentPort, workerData as AppendTask, codec);
