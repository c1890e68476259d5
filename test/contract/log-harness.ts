/** What the log's contract needs to know of an implementation, and the few things that all its tests share. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { expect, onTestFinished } from 'vitest';
import { CrossfadeError, type ErrorCode } from '../../src/core/errors.ts';
import { type FaultPoint, faultPoints } from '../../src/core/fault-point.ts';
import type { Log, PartitionId, StreamSpec } from '../../src/core/log-port.ts';
import type { RecordBatchBuilder } from '../../src/core/record-batch.ts';
import { Consumer } from './log-rows.ts';

export interface OpenOptions {
  /** Other streams than the harness was made with. */
  readonly streams?: readonly StreamSpec[];
  /** Limits of one delivery. */
  readonly deliveryBytes?: number;
  readonly deliveryRecords?: number;
}

/** One durable log and the hands on it that no port has. */
export interface LogHarness extends AsyncDisposable {
  /** One more process that opens the log. */
  open(options?: OpenOptions): Promise<Log>;
  /** That process is gone, without a goodbye. */
  kill(log: Log): Promise<void>;
  /** The election takes the leader for dead; nobody tells the leader. */
  depose(): Promise<void>;
  /** The group takes all its members for dead; nobody tells them. */
  expel(group: string): Promise<void>;
  /** Writes a batch behind the fence's back. */
  plant(partition: PartitionId, batch: RecordBatchBuilder): Promise<void>;
  /** An offset without a record, where this log can have any: what Kafka's transaction markers leave. */
  gap?(partition: PartitionId): Promise<void>;
  /** The fault points that writers who lead from here on pass, in order; where they pass them in this thread it is not needed. */
  faultPoints?(): { readonly passed: readonly FaultPoint[] } & Disposable;
  /** Retention took everything below this offset, in whole batches. */
  truncateBelow(partition: PartitionId, offset: number): Promise<void>;
}

export const peopleStream: StreamSpec = { topic: 'shop.people', partitions: 1 };
export const people: PartitionId = 'shop.people#0';
export const ordersStream: StreamSpec = { topic: 'shop.orders', partitions: 4 };
export const orders = (n: number): PartitionId => `shop.orders#${n}`;
export const never = new AbortController().signal;

export type MakeHarness = (streams: readonly StreamSpec[]) => Promise<LogHarness>;

/** A harness for one test, gone with it. */
export async function startHarness(makeHarness: MakeHarness, streams: readonly StreamSpec[] = [peopleStream]): Promise<LogHarness> {
  const harness = await makeHarness(streams);
  onTestFinished(() => harness[Symbol.asyncDispose]());
  return harness;
}

/** Fault points that are passed in this thread. */
export function watchFaultPoints(): { readonly passed: readonly FaultPoint[] } & Disposable {
  const passed: FaultPoint[] = [];
  const stack = new DisposableStack();
  for (const point of faultPoints) {
    const note = () => void passed.push(point);
    subscribe(`crossfade:${point}`, note);
    stack.defer(() => void unsubscribe(`crossfade:${point}`, note));
  }
  return { passed, [Symbol.dispose]: () => stack.dispose() };
}

export function consume(...parts: ConstructorParameters<typeof Consumer>): Consumer {
  const consumer = new Consumer(...parts);
  onTestFinished(() => consumer.stop());
  return consumer;
}

export async function drain(deliveries: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of deliveries);
}

export async function expectCode(promise: Promise<unknown>, code: ErrorCode): Promise<CrossfadeError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(CrossfadeError);
  expect((error as CrossfadeError).code).toBe(code);
  return error as CrossfadeError;
}

export function ascends(numbers: readonly number[]): boolean {
  return numbers.every((number, index) => index === 0 || number > (numbers[index - 1] as number));
}
