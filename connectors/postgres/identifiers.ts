/** Names as Postgres writes them: always quoted, so that no name is ever folded, reserved or code. */
import type { Mapping } from '../../src/core/sink-port.ts';

export interface TargetName {
  readonly schema: string;
  readonly table: string;
}

export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Postgres cuts longer names silently, and then two of them can be one. */
const nameBytesMax = 63;

export function isTooLong(name: string): boolean {
  return Buffer.byteLength(name) > nameBytesMax;
}

export function tooLongText(name: string): string {
  return `the name "${name}" has ${Buffer.byteLength(name)} bytes, and Postgres cuts names at ${nameBytesMax}`;
}

/** What fits of a name, whole characters only. */
export function shortened(name: string): string {
  let short = '';
  for (const character of name) {
    if (isTooLong(short + character)) break;
    short += character;
  }
  return short;
}

export function quoteText(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return text.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}

export function quotedTarget({ schema, table }: TargetName): string {
  return `${quote(schema)}.${quote(table)}`;
}

/** For messages and reports: as the configuration spells it. */
export function targetText({ schema, table }: TargetName): string {
  return `${schema}.${table}`;
}

/** `schema.table`, or `table` in `public`; a part that holds a dot is written in double quotes. */
export function targetOf(mapping: Pick<Mapping, 'target' | 'source'>): TargetName {
  const parts = /^(?:("(?:[^"]|"")+"|[^".]+)\.)?("(?:[^"]|"")+"|[^".]+)$/.exec(mapping.target);
  if (!parts?.[2]) return { schema: 'public', table: mapping.target === '' ? mapping.source.table : mapping.target };
  return { schema: parts[1] === undefined ? 'public' : plain(parts[1]), table: plain(parts[2]) };
}
const plain = (part: string) => (part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part);
