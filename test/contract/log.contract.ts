/**
 * What every log must do, whatever keeps it. Nothing here may lean on one implementation: offsets may have gaps (Kafka's
 * markers), so they are compared and handed back, never computed.
 */
import { barriersContract } from './log-barriers.contract.ts';
import { controlContract } from './log-control.contract.ts';
import { endingContract } from './log-ending.contract.ts';
import type { MakeHarness } from './log-harness.ts';
import { readingContract } from './log-reading.contract.ts';
import { writingContract } from './log-writing.contract.ts';

export function logContract(name: string, makeHarness: MakeHarness): void {
  writingContract(name, makeHarness);
  controlContract(name, makeHarness);
  readingContract(name, makeHarness);
  endingContract(name, makeHarness);
  barriersContract(name, makeHarness);
}
