/** Doubles of a JSON document, as the server prints them. */
import { writeInt } from '../values/values-number.ts';

function writeText(w: Uint8Array, q: number, text: string): number {
  for (let index = 0; index < text.length; index += 1) w[q + index] = text.charCodeAt(index);
  return q + text.length;
}

/** Shortest digits that read back as the same number, always with a point or an exponent. -1: JSON has no such number. */
export function writeJsonDouble(w: Uint8Array, q: number, value: number): number {
  if (!Number.isFinite(value)) return -1;
  if (value === (value | 0) && !Object.is(value, -0)) {
    const behind = writeInt(w, q, value);
    w[behind] = 46;
    w[behind + 1] = 48;
    return behind + 2;
  }
  let at = q;
  if (value < 0 || Object.is(value, -0)) w[at++] = 45;
  return writeText(w, at, doubleText(Math.abs(value)));
}

/** The server changes to an exponent for whole numbers from 1e15 on and below 1e-15; the engine does elsewhere. */
function doubleText(value: number): string {
  const text = String(value);
  if (value >= 1e15) return Number.isInteger(value) ? exponentText(value) : text;
  if (value >= 1e-6 || value === 0) return Number.isInteger(value) ? `${text}.0` : text;
  const [mantissa = '', exponent = ''] = text.split('e-');
  if (Number(exponent) > 15) return text;
  return `0.${'0'.repeat(Number(exponent) - 1)}${mantissa.replace('.', '')}`;
}

/** `1.5e21`, without the plus sign of the engine's own form. */
const exponentText = (value: number): string => value.toExponential().replace('e+', 'e');
