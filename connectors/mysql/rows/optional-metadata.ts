/**
 * The lists behind a TABLE_MAP. Each covers only the columns of its own class, in table order, without saying which those are:
 * a list that has not one entry for each of its columns was written by a server that counts them otherwise, and would give
 * columns what belongs to their neighbours.
 */
import type { Collations } from '../charsets/charsets.ts';
import { isChoice, isString, wire, type BinlogColumn, type WireType } from './columns.ts';
import { byte, bytes, packedInteger, type Cursor } from './cursor.ts';

export interface OptionalMetadata {
  readonly names: string[];
  readonly unsigned: boolean[];
  readonly collations: number[];
  readonly labels: Buffer[][];
  /** Of spatial columns, and how many elements a vector has at most. */
  readonly subtypes: number[];
  primaryKey: number[];
  /** The list that does not fit, and how; undefined where all do. */
  misfit: string | undefined;
}

const numeric: ReadonlySet<WireType> = new Set([
  wire.tiny,
  wire.short,
  wire.int24,
  wire.long,
  wire.longlong,
  wire.decimal,
  wire.float,
  wire.double,
  wire.year,
]);

/** What the bytes in front of each list mean; others are hints and passed over. */
const field = {
  signedness: 1,
  defaultCollation: 2,
  collations: 3,
  names: 4,
  setLabels: 5,
  enumLabels: 6,
  spatialTypes: 7,
  primaryKey: 8,
  primaryKeyPrefixes: 9,
  choiceDefaultCollation: 10,
  choiceCollations: 11,
  vectorElements: 13,
} as const;

/** Lists without which a column would be taken for something else in silence: signed, or a spatial column of any kind. */
const indispensable = [
  { list: field.signedness, of: 'signs', has: (type: WireType) => numeric.has(type) },
  { list: field.spatialTypes, of: 'spatial types', has: (type: WireType) => type === wire.geometry },
];

type Column = Pick<BinlogColumn, 'type'>;

export function optionalMetadata(c: Cursor, columns: readonly Column[], collations: Collations): OptionalMetadata {
  const reader = new Lists(columns, collations);
  while (c.at < c.end) {
    const type = byte(c);
    const value = bytes(c, packedInteger(c));
    reader.list(type, { at: 0, b: value, end: value.length });
  }
  return reader.done();
}

class Lists {
  readonly #columns: readonly Column[];
  readonly #known: Collations;
  /** Those that have a collation: text and bytes, and what the server keeps like a BLOB of its own. */
  readonly #characters: readonly number[];
  readonly #choices: readonly number[];
  readonly #seen = new Set<number>();
  readonly #answer: OptionalMetadata = {
    names: [],
    unsigned: [],
    collations: [],
    labels: [],
    subtypes: [],
    primaryKey: [],
    misfit: undefined,
  };

  constructor(columns: readonly Column[], collations: Collations) {
    this.#columns = columns;
    this.#known = collations;
    this.#characters = this.#where((type) => isString(type) || type === (collations.ofSpatial ? wire.geometry : wire.vector));
    this.#choices = this.#where(isChoice);
  }

  #where(test: (type: WireType) => boolean): number[] {
    return this.#columns.flatMap(({ type }, index) => (test(type) ? [index] : []));
  }

  #misfit(what: string, entries: number, columns: number): void {
    this.#answer.misfit ??= `the binlog gives ${entries} ${what} for ${columns} columns that have one`;
  }

  list(type: number, c: Cursor): void {
    const { names, collations, labels, subtypes, primaryKey } = this.#answer;
    this.#seen.add(type);
    switch (type) {
      case field.signedness:
        return this.#signs(c);
      case field.defaultCollation:
        return this.#defaultCollation(c, this.#characters);
      case field.choiceDefaultCollation:
        return this.#defaultCollation(c, this.#choices);
      case field.collations:
        return this.#each('collations', c, this.#characters, collations, packedInteger);
      case field.choiceCollations:
        return this.#each('collations of labels', c, this.#choices, collations, packedInteger);
      case field.names:
        return this.#each('names', c, [...this.#columns.keys()], names, (c) => bytes(c, packedInteger(c)).toString('utf8'));
      case field.setLabels:
        return this.#each(
          'lists of labels',
          c,
          this.#where((of) => of === wire.set),
          labels,
          labelList,
        );
      case field.enumLabels:
        return this.#each(
          'lists of labels',
          c,
          this.#where((of) => of === wire.enum),
          labels,
          labelList,
        );
      case field.spatialTypes:
        return this.#each(
          'spatial types',
          c,
          this.#where((of) => of === wire.geometry),
          subtypes,
          packedInteger,
        );
      case field.vectorElements:
        return this.#each(
          'lengths',
          c,
          this.#where((of) => of === wire.vector),
          subtypes,
          packedInteger,
        );
      case field.primaryKey:
      case field.primaryKeyPrefixes:
        while (c.at < c.end) {
          primaryKey.push(packedInteger(c));
          if (type === field.primaryKeyPrefixes) packedInteger(c);
        }
    }
  }

  /** One entry for each of the columns, no more and no less. */
  #each<T>(what: string, c: Cursor, columns: readonly number[], into: T[], read: (c: Cursor) => T): void {
    let entries = 0;
    for (; c.at < c.end; entries += 1) {
      const value = read(c);
      const column = columns[entries];
      if (column !== undefined) into[column] = value;
    }
    if (entries !== columns.length) this.#misfit(what, entries, columns.length);
  }

  /** A bit for each, the highest first. */
  #signs({ b }: Cursor): void {
    const columns = this.#where((type) => numeric.has(type));
    if (b.length !== (columns.length + 7) >> 3) return this.#misfit('bytes of signs', b.length, columns.length);
    for (const [at, column] of columns.entries()) this.#answer.unsigned[column] = (((b[at >> 3] as number) << (at & 7)) & 0x80) !== 0;
    return undefined;
  }

  /** One for all, and the places of those that have another: how many there are it does not say. */
  #defaultCollation(c: Cursor, columns: readonly number[]): void {
    const usual = packedInteger(c);
    for (const column of columns) this.#answer.collations[column] = usual;
    while (c.at < c.end) {
      const place = packedInteger(c);
      const collation = packedInteger(c);
      const column = columns[place];
      if (column === undefined) this.#misfit('collations', place + 1, columns.length);
      else this.#answer.collations[column] = collation;
    }
  }

  done(): OptionalMetadata {
    const answer = this.#answer;
    for (const { list, of, has } of indispensable) {
      const { length } = this.#where(has);
      if (length > 0 && !this.#seen.has(list)) this.#misfit(of, 0, length);
    }
    // What is no text is binary to every server: where it is not, the list is one column off.
    for (const column of this.#characters) {
      const { type } = this.#columns[column] as Column;
      const collation = answer.collations[column];
      if (isString(type) || collation === undefined || this.#known.charsetOf.get(collation) === 'binary') continue;
      answer.misfit ??= 'the binlog gives a spatial column or a vector the collation of a text';
    }
    return answer;
  }
}

const labelList = (c: Cursor): Buffer[] => Array.from({ length: packedInteger(c) }, () => Buffer.from(bytes(c, packedInteger(c))));
