/** From changes to what Redis is told: the last state of every key, in parts that one script call can carry. */
import type { Row, TableSchema, Value, Version } from '../../src/core/change.ts';
import { invariant } from '../../src/core/assert.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import { cellJson } from '../../src/core/row-json.ts';
import type { Entry, Mapping } from '../../src/core/sink-port.ts';
import { parseKeyTemplate, renderKey, type KeyTemplate } from './key-template.ts';
import type { Argument } from './connection.ts';

/** The field that fences; no column may have its name. */
export const versionField = '__version';

/** Bounds of one script call: while it runs, Redis serves nobody else. */
const partRows = 125;
const partArguments = 20_000;
const partBytes = 1024 * 1024;

export interface HashMapping {
  readonly source: Mapping['source'];
  readonly template: KeyTemplate;
}

/** Throws CONFIG_INVALID where the template is none. */
export function hashMapping(mapping: Mapping): HashMapping {
  const text = mapping.options['key'];
  const template = typeof text === 'string' ? parseKeyTemplate(text) : 'a table in Redis needs its key template';
  if (typeof template !== 'string') return { source: mapping.source, template };
  throw new CrossfadeError({
    code: 'CONFIG_INVALID',
    fault: 'fatal',
    message: template,
    remedy: 'Give the table a key such as "stock:{sku}".',
  });
}

/** What is to become of one key: a hash with this row's fields, or nothing. */
interface KeyState {
  readonly mapping: number;
  readonly version: Version;
  readonly schema: TableSchema;
  readonly row: Row | undefined;
}

/**
 * By rendered key, since that is what the fence guards: two source keys can meet there, and one that changes a column of
 * the template leaves one key for another.
 */
export function foldByTargetKey(entries: readonly Entry[], mappings: readonly HashMapping[]): Map<string, KeyState> {
  const states = new Map<string, KeyState>();
  for (const { mapping, event } of entries) {
    invariant(event.op !== 'truncate', 'a truncate does not reach a sink of rows');
    const template = mappings[mapping]?.template;
    invariant(template, `mapping ${mapping} is one of this sink's`);
    const { version, schema } = event;
    const put = (key: string, row: Row | undefined) => {
      const before = states.get(key);
      if (before === undefined || before.version <= version) states.set(key, { mapping, version, schema, row });
    };
    if (event.op === 'delete') put(keyOf(template, event.before, schema), undefined);
    else {
      if (event.op === 'update' && moves(template, event.before, event.after)) put(keyOf(template, event.before, schema), undefined);
      put(keyOf(template, event.after, schema), event.after);
    }
  }
  return states;
}

const moves = (template: KeyTemplate, before: Row, after: Row) => template.columns.some((name) => before[name] !== after[name]);

function keyOf(template: KeyTemplate, row: Row, schema: TableSchema): string {
  const key = renderKey(template, row);
  if (key !== undefined) return key;
  const missing = template.columns.find((name) => !(name in row));
  if (missing !== undefined) throw columnMissing(missing, template, schema);
  throw new CrossfadeError({
    code: 'TARGET_VALUE_REFUSED',
    fault: 'poison',
    message: `a row of ${schema.table.database}.${schema.table.table} has NULL or broken text in a column of its key template "${template.text}"`,
    remedy: 'Build the key from columns that are NOT NULL.',
  });
}

function columnMissing(name: string, template: KeyTemplate, { table }: TableSchema): CrossfadeError {
  return new CrossfadeError({
    code: 'TARGET_COLUMN_MISSING',
    fault: 'fatal',
    message: `the key template "${template.text}" names ${name}, which ${table.database}.${table.table} does not have behind its transforms`,
    remedy: 'Correct the key template, or the transforms before it.',
  });
}

/** The rows of one script call; `args` begin with the shapes (see write.lua). `mappings[i]` belongs to `keys[i]`. */
export interface Part {
  readonly keys: readonly string[];
  readonly mappings: readonly number[];
  readonly args: readonly Argument[];
  readonly last: boolean;
}

/** Lazily, so that one part is encoded while Redis applies the one before. There is always a last one, be it empty. */
export function* partsOf(states: ReadonlyMap<string, KeyState>): Generator<Part> {
  let part = new PartBuilder();
  for (const [key, state] of states) {
    const encoded = encodeState(state);
    if (!part.hasRoomFor(encoded)) {
      yield part.finish(false);
      part = new PartBuilder();
    }
    part.add(key, state, encoded);
  }
  yield part.finish(true);
}

interface EncodedRow {
  readonly values: readonly Argument[];
  /** The columns that are not NULL, and a text that differs between different sets of them. */
  readonly columns: readonly string[];
  readonly pattern: string;
  readonly bytes: number;
}

class PartBuilder {
  readonly #keys: string[] = [];
  readonly #mappings: number[] = [];
  readonly #rows: Argument[] = [];
  readonly #shapes: Argument[] = [];
  readonly #shapeNumbers = new Map<TableSchema, Map<string, string>>();
  #shapeCount = 0;
  #bytes = 0;

  hasRoomFor(encoded: EncodedRow | undefined): boolean {
    const count = this.#keys.length;
    if (count === 0) return true;
    const more = encoded === undefined ? 2 : encoded.values.length * 2 + 2;
    return (
      count < partRows &&
      this.#rows.length + this.#shapes.length + more <= partArguments &&
      this.#bytes + (encoded?.bytes ?? 0) <= partBytes
    );
  }

  add(key: string, state: KeyState, encoded: EncodedRow | undefined): void {
    this.#keys.push(key);
    this.#mappings.push(state.mapping);
    this.#rows.push(state.version, encoded === undefined ? '0' : this.#shapeOf(state.schema, encoded));
    if (encoded === undefined) return;
    for (const value of encoded.values) this.#rows.push(value);
    this.#bytes += encoded.bytes;
  }

  #shapeOf(schema: TableSchema, { pattern, columns }: EncodedRow): string {
    let numbers = this.#shapeNumbers.get(schema);
    if (!numbers) this.#shapeNumbers.set(schema, (numbers = new Map<string, string>()));
    let number = numbers.get(pattern);
    if (number === undefined) {
      this.#shapeCount += 1;
      number = String(this.#shapeCount);
      numbers.set(pattern, number);
      this.#shapes.push(String(columns.length + 1), versionField, ...columns);
    }
    return number;
  }

  finish(last: boolean): Part {
    return { keys: this.#keys, mappings: this.#mappings, args: [String(this.#shapeCount), ...this.#shapes, ...this.#rows], last };
  }
}

const columnNames = new WeakMap<TableSchema, readonly string[]>();

function namesOf(schema: TableSchema): readonly string[] {
  let names = columnNames.get(schema);
  if (!names) {
    names = schema.columns.map(({ name }) => name);
    columnNames.set(schema, names);
  }
  return names;
}

function encodeState({ row, schema }: KeyState): EncodedRow | undefined {
  if (row === undefined) return undefined;
  const names = namesOf(schema);
  const values: Argument[] = [];
  let nulls: string[] | undefined;
  let bytes = 0;
  for (const name of names) {
    const value = row[name];
    if (value === null || value === undefined) (nulls ??= []).push(name);
    else if (name === versionField) throw versionColumn(schema);
    else {
      const encoded = encodeValue(value, name, schema);
      values.push(encoded);
      bytes += encoded.length;
    }
  }
  if (nulls === undefined) return { values, columns: names, pattern: '', bytes };
  const gone = new Set(nulls);
  return { values, columns: names.filter((name) => !gone.has(name)), pattern: JSON.stringify(nulls), bytes };
}

/** Bytes are raw, booleans 1 and 0, numbers their exact text, geometries and vectors the log's JSON. */
function encodeValue(value: Exclude<Value, null>, name: string, { table }: TableSchema): Argument {
  switch (typeof value) {
    case 'string':
      if (value.isWellFormed()) return value;
      throw new CrossfadeError({
        code: 'TARGET_VALUE_REFUSED',
        fault: 'poison',
        message: `a row of ${table.database}.${table.table} has text in ${name} that is not well-formed Unicode`,
        remedy: 'Mend the text in the source.',
      });
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value);
    case 'bigint':
      return value.toString();
    case 'boolean':
      return value ? '1' : '0';
    default:
      return value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : cellJson(value);
  }
}

function versionColumn({ table }: TableSchema): CrossfadeError {
  return new CrossfadeError({
    code: 'CONFIG_INVALID',
    fault: 'fatal',
    message: `${table.database}.${table.table} has a column ${versionField}, which is the name of Crossfade's own field in a hash`,
    remedy: `Give the column another name: transforms: [ { rename: { ${versionField}: version } } ]`,
  });
}
