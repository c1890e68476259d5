/** Refused changes as bytes of crossfade.quarantine: exact, and at the cost of a copy. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { changeBytes, readChange, shapeText, StoredShapes } from '../../connectors/postgres/queued-change.ts';
import type { ChangeEvent, Row, TableSchema } from '../../src/core/change.ts';

const schema: TableSchema = {
  id: 'notes-1',
  table: { database: 'shop', table: 'nötes' },
  key: ['id'],
  columns: [
    { name: 'id', kind: 'integer', type: 'int', nullable: false, bits: 32 },
    { name: 'tëxt', kind: 'string', type: 'longtext', nullable: true },
    { name: 'bytes', kind: 'bytes', type: 'longblob', nullable: true },
  ],
};
const common = { schema, version: 'v', committedAtUs: 1_763_700_000_123_456, transactionId: 'uuid:1' };
const row = (text: string | null, bytes: Uint8Array | null = null): Row => ({ id: 1, tëxt: text, bytes });
const insert = (text: string | null, bytes?: Uint8Array): ChangeEvent => ({ op: 'insert', after: row(text, bytes), ...common });

function stored(event: ChangeEvent): ChangeEvent {
  const { version, committedAtUs } = event;
  const shape = new StoredShapes().of(shapeText(event.schema));
  return readChange({ envelope: changeBytes(event).toString('base64'), version, committedAtUs }, shape, 'here');
}

test('G1: any text and any bytes come back as they were, also where they are cut into pieces', { timeout: 60_000 }, () => {
  const units = fc.string({ unit: fc.constantFrom('a', 'ж', '"', '\\', '\u0000', '\n', '😀', '\ufffd'), maxLength: 9 });
  const times = fc.constantFrom(1, 7, 270_000);
  fc.assert(
    fc.property(units, units, times, fc.uint8Array({ maxLength: 9 }), (text, odd, count, some) => {
      const event = insert(
        `${odd}${text.repeat(Math.ceil(count / (text.length + 1)))}`,
        Buffer.concat(Array.from({ length: count === 1 ? 1 : 90_001 }, () => some)),
      );
      const back = stored(event);
      expect(Object.keys(back).toSorted()).toEqual(Object.keys(event).toSorted());
      const [was, is] = [event, back].map((one) => ('after' in one ? one.after : undefined));
      expect(is?.['tëxt'] === was?.['tëxt'], 'the text').toBe(true);
      expect(Buffer.compare(is?.['bytes'] as Uint8Array, was?.['bytes'] as Uint8Array), 'the bytes').toBe(0);
    }),
    { numRuns: 30 },
  );
});

test('what was before an update is kept as long as it is short, and of a delete always', () => {
  const short: ChangeEvent = { op: 'update', before: row('old'), after: row('new'), ...common };
  expect(stored(short)).toEqual(short);
  const long: ChangeEvent = { op: 'update', before: row('ж'.repeat(100_000)), after: row('new'), ...common };
  expect(stored(long)).toEqual({ op: 'read', after: row('new'), ...common });
  const gone: ChangeEvent = { op: 'delete', before: row('ж'.repeat(100_000)), ...common };
  expect(stored(gone)).toEqual(gone);
});

test('G9: a row of 26 MB takes its own bytes and far less than a second', () => {
  const event = insert('ж'.repeat(13_000_000));
  const before = process.cpuUsage();
  const bytes = changeBytes(event);
  const { user, system } = process.cpuUsage(before);
  expect(bytes.length).toBeLessThan(26_001_000);
  expect((user + system) / 1e6).toBeLessThan(1);
});
