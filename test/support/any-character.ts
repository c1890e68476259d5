import { integer, oneof } from 'fast-check';

const upTo = (min: number, max: number) => integer({ min, max });

/** Every code point but half surrogates. fast-check's own unit `binary` first makes a table of all of them, for seconds. */
export const anyCharacter = oneof(upTo(0, 0x7f), upTo(0x80, 0xd7ff), upTo(0xe000, 0xffff), upTo(0x10000, 0x10ffff)).map((point) =>
  String.fromCodePoint(point),
);
