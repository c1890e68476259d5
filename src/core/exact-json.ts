/**
 * JSON.parse that never rounds an integer: beyond 2^53 it answers a bigint. Only text that could hold such a number pays
 * for the slow way (a run of 17 digits, or 16 that start with 9); Node 24 hands a reviver the number's own text.
 */
const suspicious = /\d{17}|9\d{15}/;
const integer = /^-?\d+$/;

export function parseExactJson(text: string): unknown {
  if (!suspicious.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) => {
    const source = context?.source;
    if (typeof value !== 'number' || Number.isSafeInteger(value) || source === undefined || !integer.test(source)) return value;
    return BigInt(source);
  });
}
