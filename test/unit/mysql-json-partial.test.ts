/** Rows of PARTIAL_UPDATE_ROWS by bytes: made whole, or stopped at. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { wire, type BinlogColumn, type WireType } from '../../connectors/mysql/rows/columns.ts';
import { JsonOut } from '../../connectors/mysql/values/row-out.ts';
import { parseRowsHeader } from '../../connectors/mysql/rows/rows.ts';
import { countPartialRows, decodePartialUpdate } from '../../connectors/mysql/rows/rows-partial.ts';
import { TableShape } from '../../connectors/mysql/rows/shapes.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import { changeBytes, insert, int, remove, replace, treeBytes, type Change, type Tree } from '../support/json-bytes.ts';

const document: Tree = new Map<string, Tree>([
  ['a', int(1)],
  ['list', [int(1), 'two']],
  ['k x', new Map([['b', int(5)]])],
]);
const whole = '{"a": 1, "k x": {"b": 5}, "list": [1, "two"]}';

const column = (name: string, type: WireType, size = 0): BinlogColumn => ({
  name,
  type,
  size,
  scale: 0,
  unsigned: false,
  nullable: true,
  charset: '',
  labels: [],
});
const collations = { charsetOf: new Map(), maxBytesOf: new Map(), ofSpatial: false };
/** `db.t (first JSON, id INT PRIMARY KEY, and as many JSON columns as make 16 of them)`: their bits are two whole bytes. */
const columns = [
  column('first', wire.json, 4),
  column('id', wire.long),
  ...Array.from({ length: 15 }, (_, index) => column(`j${index}`, wire.json, 4)),
];
const shape = new TableShape(
  { database: 'db', table: 't', columns, primaryKey: [1], complete: true },
  { mapped: new Set(['db.t']), keys: new Map(), collations, maxRowBytes: 1e6 },
);

const sized = (bytes: Buffer) => {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([length, bytes]);
};
/** A value of each JSON column: a document, changes, or NULL. */
type Cell = Tree | { readonly changes: readonly Change[] } | null;
const hasChanges = (cell: Cell): cell is { readonly changes: readonly Change[] } =>
  typeof cell === 'object' && cell !== null && 'changes' in cell;

function image(id: number, cells: readonly Cell[]): Buffer {
  let nulls = 0;
  const parts: Buffer[] = [];
  for (const [index, cell] of cells.entries()) {
    if (cell === null) nulls |= 1 << (index === 0 ? 0 : index + 1);
    else parts.push(sized(hasChanges(cell) ? changeBytes(cell.changes) : treeBytes(cell)));
    if (index === 0) parts.push(int(id + 1_000_000).bytes);
  }
  return Buffer.concat([Buffer.from([nulls & 255, (nulls >> 8) & 255, nulls >> 16]), ...parts]);
}

function row(id: number, before: readonly Cell[], after: readonly Cell[], options = 1): Buffer {
  const bits = after.reduce<number>((sum, cell, index) => sum | (cell === null || hasChanges(cell) ? 1 << index : 0), 0);
  return Buffer.concat([image(id, before), Buffer.from(options === 1 ? [1, bits & 255, bits >> 8] : [options]), image(id, after)]);
}
const present = Buffer.from('ffff01', 'hex');
const eventOf = (...rows: readonly Buffer[]): Buffer =>
  Buffer.concat([Buffer.from('6400000000000100 0200 11'.replaceAll(' ', ''), 'hex'), present, present, ...rows]);

const shared = new JsonOut();

function decoded(event: Buffer): { before: Record<string, unknown>; after: Record<string, unknown> }[] {
  const header = parseRowsHeader(event, 0, event.length, 'partial update rows', 2);
  const rows: { before: Record<string, unknown>; after: Record<string, unknown> }[] = [];
  const read = (bytes: Uint8Array | null) => JSON.parse(Buffer.from(bytes ?? []).toString()) as Record<string, unknown>;
  const receiver = {
    row: (_schema: unknown, op: string, before: Uint8Array | null, after: Uint8Array | null) => {
      expect(op).toBe('u');
      rows.push({ before: read(before), after: read(after) });
    },
  };
  decodePartialUpdate(event, event.length, header, shape, shared, receiver, () => 'binlog.000001:4');
  return rows;
}

const fifteen = (cell: Cell) => Array.from({ length: 15 }, () => cell);

describe('rows of PARTIAL_UPDATE_ROWS', () => {
  test('several rows: changes in the first and the last column, whole documents, NULL, no changes, no options', () => {
    const before = [document, ...fifteen(document)];
    const changes = { changes: [[replace, '$.a', int(2)]] } as const;
    const after: Cell[] = [changes, null, 'whole', { changes: [] }, ...fifteen(changes)].slice(0, 16);
    const rows = decoded(
      eventOf(
        row(1, before, after),
        row(2, [null, ...fifteen(null)], ['x', ...fifteen(null)], 0),
        row(3, before, [{ changes: [] }, ...fifteen(changes)]),
      ),
    );
    const changed = whole.replace('"a": 1', '"a": 2');
    const rest = Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`j${index + 3}`, changed]));
    expect(rows[0]?.after).toEqual({ first: changed, id: 1_000_001, j0: null, j1: '"whole"', j2: whole, ...rest });
    expect(rows[0]?.before).toMatchObject({ first: whole, j14: whole });
    expect(rows[1]).toMatchObject({ before: { first: null, id: 1_000_002 }, after: { first: '"x"', j14: null } });
    expect(rows[2]?.after).toMatchObject({ first: whole, j0: changed, j14: changed });
  });

  test('G6: changes of NULL, changes that do not fit and unknown options stop with a clear error', () => {
    const changes = { changes: [[replace, '$.a', int(2)]] } as const;
    const code = (event: Buffer) => {
      try {
        decoded(event);
      } catch (error) {
        return error instanceof CrossfadeError ? `${error.code} ${error.message}` : error;
      }
      return 'nothing thrown';
    };
    expect(code(eventOf(row(1, [null, ...fifteen(null)], [changes, ...fifteen(null)])))).toMatch(
      /^SOURCE_VALUE_INVALID .*db\.t\.first at binlog\.000001:4/,
    );
    expect(code(eventOf(row(1, [null, ...fifteen(null)], [{ changes: [] }, ...fifteen(null)])))).toMatch(
      /^SOURCE_VALUE_INVALID .*db\.t\.first /,
    );
    expect(code(eventOf(row(1, [document, ...fifteen(int(5))], [document, ...fifteen(changes)])))).toMatch(
      /^SOURCE_VALUE_INVALID .*db\.t\.j0 /,
    );
    for (const options of [2, 3, 128, 251, 252])
      expect(code(eventOf(row(1, [document, ...fifteen(null)], ['x', ...fifteen(null)], options)))).toMatch(/^SOURCE_EVENT_CORRUPT/);
    const lacking = eventOf(row(1, [document, ...fifteen(null)], ['x', ...fifteen(null)]));
    lacking[12] = 0x06;
    expect(code(lacking)).toMatch(/^SOURCE_ROW_INCOMPLETE/);
  });

  test('G6: an event that is cut or has a wrong byte stops with an error of ours or decodes, and its rows are counted', () => {
    const changes = {
      changes: [
        [replace, '$.a', int(2)],
        [insert, '$.list[1]', 'x'],
        [remove, '$."k x".b'],
      ],
    } as const;
    const event = eventOf(
      row(1, [document, ...fifteen(document)], [changes, ...fifteen(changes)]),
      row(2, [document, ...fifteen(null)], [changes, ...fifteen(null)]),
    );
    const header = parseRowsHeader(event, 0, event.length, 'partial update rows', 2);
    expect(countPartialRows(event, event.length, header, shape, () => '')).toBe(2);
    expect(decoded(event)).toHaveLength(2);
    const attempt = (bytes: Buffer) => {
      try {
        return decoded(bytes).length;
      } catch (error) {
        if (!(error instanceof CrossfadeError)) throw error;
        return error.code;
      }
    };
    for (let size = header.rows + 1; size < event.length; size += 3) {
      const outcome = attempt(event.subarray(0, size));
      expect(typeof outcome === 'string' || outcome === 1, `${size} bytes`).toBe(true);
    }
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: header.rows, max: event.length - 1 }), fc.nat({ max: 255 })), { minLength: 1, maxLength: 4 }),
        (edits) => {
          const broken = Buffer.from(event);
          for (const [at, byte] of edits) broken[at] = byte;
          attempt(broken);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
