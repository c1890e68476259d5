/** Compiles the code that reads over a row image: rows of tables that nobody maps are only counted. */
import type { BinlogColumn } from './columns.ts';
import { readLength } from './compile-code.ts';
import { valueLength } from './value-length.ts';
import { corruptEvent } from '../errors.ts';

/** Reads over the image at `p`. */
export type ImageSkipper = (b: Buffer, p: number, end: number) => number;

/** The length of every type is known here, or the table's rows cannot be counted: undefined, and the stream must stop. */
export function compileSkipper(columns: readonly BinlogColumn[]): ImageSkipper | undefined {
  const steps = columns.map(skipCode);
  return steps.every((step) => step !== undefined) ? makeSkipper(steps) : undefined;
}

/** Moves `p` behind the value of column `index`, if there is one; undefined where its length is not known. */
export function skipCode(column: BinlogColumn, index: number): string | undefined {
  const length = valueLength(column);
  if (length === undefined) return undefined;
  if (length.bytes === 0) return '';
  const step = length.bytes === undefined ? `p += ${length.prefix} + (${readLength[length.prefix]});` : `p += ${length.bytes};`;
  return `if (!(b[n + ${index >> 3}] & ${1 << (index & 7)})) ${step}`;
}

function makeSkipper(steps: readonly string[]): ImageSkipper {
  const source = `"use strict"; return function skip(b, n, e, ends) { let p = n + ${(steps.length + 7) >> 3};\n${steps.join('\n')}\nif (!(p <= e)) throw cut(); return p; };`;
  const make = new Function('cut', source) as (cut: () => Error) => ImageSkipper;
  return make(() => corruptEvent('a row is cut'));
}

/** Reads over the image at `p` and notes behind which place each column's value ends; that of NULL ends where it would begin. */
export type ImageMeasurer = (b: Buffer, p: number, end: number, ends: Uint32Array) => number;

/** For columns that are all known. */
export function compileMeasurer(columns: readonly BinlogColumn[]): ImageMeasurer {
  return makeSkipper(columns.map((column, index) => `${skipCode(column, index) ?? ''}\nends[${index}] = p;`));
}
