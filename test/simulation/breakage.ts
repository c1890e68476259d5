/** A place for deliberately broken builds: wrappers around ports, so that the product has no switches for them. */
import type { Log, Sink, Source, Writer } from '../../src/core/ports.ts';
import type { SimulatedProcess } from '../support/faults.ts';
import type { World } from './world.ts';

export interface Breakage {
  readonly skipCompareAndSet: boolean;
  source(raw: Source, world: World): Source;
  log(raw: Log, world: World): Log;
  writer(raw: Writer, world: World, process: SimulatedProcess): Writer;
  sink(raw: Sink, world: World): Sink;
}

export const noBreakage: Breakage = {
  skipCompareAndSet: false,
  source: (raw) => raw,
  log: (raw) => raw,
  writer: (raw) => raw,
  sink: (raw) => raw,
};
