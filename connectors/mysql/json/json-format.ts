/** MySQL's binary JSON: what its readers and writers share. */

/** The type byte in front of every value. */
export const jsonType = {
  smallObject: 0,
  largeObject: 1,
  smallArray: 2,
  largeArray: 3,
  literal: 4,
  int16: 5,
  uint16: 6,
  int32: 7,
  uint32: 8,
  int64: 9,
  uint64: 10,
  double: 11,
  string: 12,
  opaque: 15,
} as const;

/** The server's own limit (JSON_DOCUMENT_MAX_DEPTH). */
export const mostDepth = 100;

/** Bytes of the values whose size their type tells. */
export const fixedBytes: Readonly<Record<number, number>> = {
  [jsonType.literal]: 1,
  [jsonType.int16]: 2,
  [jsonType.uint16]: 2,
  [jsonType.int32]: 4,
  [jsonType.uint32]: 4,
  [jsonType.int64]: 8,
  [jsonType.uint64]: 8,
  [jsonType.double]: 8,
};

/** Whether a value is in its entry itself, where else its offset is. */
export const isInlined = (type: number, wide: 2 | 4): boolean =>
  type >= jsonType.literal && type <= (wide === 4 ? jsonType.uint32 : jsonType.uint16);
