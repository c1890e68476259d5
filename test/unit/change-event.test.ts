import { expect, test } from 'vitest';
import type { ChangeEvent } from '../../src/core/change.ts';
import { envelopeScanner } from '../../src/core/envelope-scanner.ts';
import { scannedChange } from '../../src/core/scanned-change.ts';
import { versionZero } from '../../src/core/version.ts';
import { envelopeOf, fuzzSchema } from '../support/fuzz-envelopes.ts';
import { seeded } from '../support/random.ts';

const record = (value: Buffer) => ({
  offset: 0,
  timestampMs: 0,
  key: Buffer.from('{"id":1}'),
  value,
  version: versionZero,
  term: 1,
  committedAtUs: 1,
  schemaId: fuzzSchema.id,
  open: false,
});

test('a copy of an event without its rows is no event, by the compiler: rows may be made when they are asked for', () => {
  const random = seeded(7);
  const events = Array.from({ length: 50 }, () => {
    const value = envelopeOf(random);
    const found = envelopeScanner(fuzzSchema)?.scan(value);
    return found && scannedChange(record(value), fuzzSchema, found);
  });
  const event = events.find((each) => each?.op === 'insert');
  if (event?.op !== 'insert') throw new Error('no insert was scanned');
  // What the types and the linter are to prevent: nothing of the rows is the event's own.
  expect(Object.keys(event)).not.toContain('after');
  // oxlint-disable-next-line typescript/no-misused-spread
  const copy = { ...event, committedAtUs: 2 };
  // @ts-expect-error `after` is lost
  const lost: ChangeEvent = copy;
  expect('after' in lost).toBe(false);
});
