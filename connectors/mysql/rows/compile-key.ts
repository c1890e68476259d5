/** The key's JSON, copied from the values that the image decoder wrote. */
import type { JsonOut } from '../values/row-out.ts';

/** Writes `{"id":1}` from the values that the image decoder noted; the last image's key, behind the row at hand. */
export type KeyWriter = (out: JsonOut) => void;

export function compileKey(names: readonly string[]): KeyWriter {
  const prefixes = names.map((name, index) => Buffer.from(`${index === 0 ? '{' : ','}${JSON.stringify(name)}:`));
  const constantBytes = prefixes.reduce((sum, prefix) => sum + prefix.length, 1);
  return (out) => {
    const ranges = out.keyRanges;
    let room = constantBytes;
    for (let index = 0; index < prefixes.length; index += 1) room += (ranges[index * 2 + 1] as number) - (ranges[index * 2] as number);
    out.reserve(room);
    const { buf, start } = out;
    let at = out.at;
    for (let index = 0; index < prefixes.length; index += 1) {
      const prefix = prefixes[index] as Buffer;
      for (let read = 0; read < prefix.length; read += 1) buf[at++] = prefix[read] as number;
      const from = start + (ranges[index * 2] as number);
      const to = start + (ranges[index * 2 + 1] as number);
      for (let read = from; read < to; read += 1) buf[at++] = buf[read] as number;
    }
    buf[at++] = 125;
    out.at = at;
  };
}
