/**
 * What an envelope's bytes say, read by the book and independently of the product: RFC 8259 character by character, and each
 * cell by its column's kind. Slow and plain on purpose.
 */
import type { ColumnSchema, Row, TableSchema, Value } from '../../src/core/change.ts';

interface Num {
  readonly number: string;
}
export type Node = null | boolean | string | Num | readonly Node[] | ReadonlyMap<string, Node>;

export interface Judged {
  readonly op: string;
  readonly before?: Row;
  readonly after?: Row;
}

const operations = new Map([
  ['c', 'insert'],
  ['r', 'read'],
  ['u', 'update'],
  ['d', 'delete'],
  ['t', 'truncate'],
]);

/** Undefined: it is broken, and must be refused. */
export function judgeEnvelope(bytes: Buffer, schema: TableSchema): Judged | undefined {
  try {
    const root = new JsonText(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)).document();
    if (!(root instanceof Map)) return undefined;
    const letter = root.get('op');
    const op = typeof letter === 'string' ? operations.get(letter) : undefined;
    if (op === undefined) return undefined;
    const before = op === 'update' || op === 'delete' ? rowOf(root.get('before'), schema) : undefined;
    const after = op === 'insert' || op === 'read' || op === 'update' ? rowOf(root.get('after'), schema) : undefined;
    return { op, ...(before && { before }), ...(after && { after }) };
  } catch (error) {
    if (error instanceof Broken || error instanceof TypeError) return undefined;
    throw error;
  }
}

class Broken extends Error {}

function rowOf(node: Node | undefined, schema: TableSchema): Row {
  if (!(node instanceof Map) || node.size !== schema.columns.length) throw new Broken('another number of columns');
  return Object.fromEntries(schema.columns.map((column) => [column.name, cellOf(node.get(column.name) as Node | undefined, column)]));
}

function cellOf(node: Node | undefined, { kind }: ColumnSchema): Value {
  if (node === undefined) throw new Broken('a column is missing');
  if (node === null) return null;
  if (kind === 'integer') return integerOf(node);
  if (kind === 'double') return doubleOf(node);
  if (kind === 'boolean') return typeof node === 'boolean' ? node : fail();
  if (typeof node !== 'string') return fail();
  return kind === 'bytes' ? bytesOf(node) : node;
}

const fail = (): never => {
  throw new Broken('another kind of value');
};

function integerOf(node: Node): Value {
  if (typeof node !== 'object' || node === null || !('number' in node)) return fail();
  const value = Number(node.number);
  if (!Number.isInteger(value)) return fail();
  if (Number.isSafeInteger(value)) return value;
  // Beyond 2^53 only digits say exactly which number is meant.
  return /^-?\d+$/.test(node.number) ? BigInt(node.number) : fail();
}

function doubleOf(node: Node): Value {
  if (typeof node !== 'object' || node === null || !('number' in node)) return fail();
  const value = Number(node.number);
  return Number.isFinite(value) ? value : fail();
}

function bytesOf(text: string): Value {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return fail();
  return Buffer.from(text, 'base64');
}

/** RFC 8259. Of a name that comes twice the last one counts, as in every reader of such text. */
export class JsonText {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Node {
    const node = this.#value();
    this.#space();
    if (this.#at !== this.#text.length) throw new Broken('something behind the end');
    return node;
  }

  #space(): void {
    while (' \t\n\r'.includes(this.#text[this.#at] ?? 'x')) this.#at += 1;
  }
  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }
  #is(character: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }
  #need(character: string): void {
    if (!this.#is(character)) throw new Broken(`${character} is missing`);
  }

  #value(): Node {
    this.#space();
    const next = this.#text[this.#at];
    if (next === '{') return this.#object();
    if (next === '[') return this.#array();
    if (next === '"') return this.#string();
    const word = this.#take(/true|false|null/y);
    if (word !== undefined) return word === 'null' ? null : word === 'true';
    const number = this.#take(/-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y);
    if (number === undefined) throw new Broken('no value');
    return { number };
  }

  #object(): Node {
    const members = new Map<string, Node>();
    this.#need('{');
    if (this.#is('}')) return members;
    do {
      this.#space();
      const name = this.#string();
      this.#need(':');
      members.set(name, this.#value());
    } while (this.#is(','));
    this.#need('}');
    return members;
  }

  #array(): Node {
    const items: Node[] = [];
    this.#need('[');
    if (this.#is(']')) return items;
    do items.push(this.#value());
    while (this.#is(','));
    this.#need(']');
    return items;
  }

  #string(): string {
    // No control characters inside; escapes as the RFC lists them.
    const quoted = this.#take(/"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y);
    if (quoted === undefined) throw new Broken('no string');
    return JSON.parse(quoted) as string;
  }
}
