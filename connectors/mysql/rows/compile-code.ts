/** Pieces of generated code. In it: `b` the event, `p` the place in it, `e` its end; `w` and `v` what is written, `q` the place there; `o` the JsonOut; `m` and `z` a value's length and end. */

/** Stores a constant four bytes at a time; the last store may pass its end, there is room and the next write covers it. */
export function literal(text: string): string {
  const bytes = Buffer.from(text);
  const padded = Buffer.alloc(Math.ceil(bytes.length / 4) * 4);
  bytes.copy(padded);
  let code = '';
  for (let at = 0; at < bytes.length; at += 4) code += `v.setInt32(q${at === 0 ? '' : ` + ${at}`}, ${padded.readInt32LE(at)}, true); `;
  return `${code}q += ${bytes.length};`;
}

/** Takes a value that generated code cannot spell; answers the expression that reads it. */
export type Constant = (value: unknown) => string;
export const int24 = 'b[p] | (b[p + 1] << 8) | (b[p + 2] << 16)';
export const int32 = `${int24} | (b[p + 3] << 24)`;
export const high32 = 'b[p + 4] | (b[p + 5] << 8) | (b[p + 6] << 16) | (b[p + 7] << 24)';

export const call = (code: string, bytes: number) => `q = ${code}; p += ${bytes};`;

export const readLength = ['0', 'b[p]', 'b[p] | (b[p + 1] << 8)', int24, `(${int32}) >>> 0`] as const;
