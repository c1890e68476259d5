/** Integers, decimals, floats and bits: which types hold them. */
import type { ColumnSchema } from '../../src/core/change.ts';
import type { TargetColumn } from './catalog.ts';
import { chosen, exact, type Fit, lossy, narrow, text } from './fit.ts';
import { numericDigits } from './type-modifiers.ts';

const integerBits: Readonly<Record<string, number>> = { int2: 16, int4: 32, int8: 64 };
/** The integers that a float holds one by one. */
const mantissaBits: Readonly<Record<string, number>> = { float4: 24, float8: 53 };

export function integer(source: ColumnSchema, target: TargetColumn): Fit | undefined {
  const bits = source.bits ?? 64;
  const needed = bits + (source.unsigned ? 1 : 0);
  const room = integerBits[target.base];
  if (room !== undefined) return needed <= room ? exact : narrow(`numbers beyond a signed integer of ${room} bits are refused`);
  if (target.base === 'numeric') return wholeDigits(target, Math.ceil((source.unsigned ? bits : bits - 1) * Math.log10(2)), 0);
  const mantissa = mantissaBits[target.base];
  if (mantissa !== undefined) return bits <= mantissa ? exact : lossy(`numbers beyond 2^${mantissa} would be rounded`);
  if (target.base === 'bool') return bits === 8 ? chosen('numbers other than 0 and 1 are refused') : undefined;
  return text({ ...source, length: 20 }, target);
}

function wholeDigits(target: TargetColumn, whole: number, scale: number): Fit {
  const digits = numericDigits(target);
  if (!digits) return exact;
  if (digits.scale < scale) return lossy(`digits behind the ${digits.scale}. decimal place would be rounded away`);
  return digits.precision - digits.scale >= whole
    ? exact
    : narrow(`numbers of over ${digits.precision - digits.scale} digits before the point are refused`);
}

export function decimal(source: ColumnSchema, target: TargetColumn): Fit | undefined {
  const precision = source.precision ?? 65;
  const scale = source.scale ?? 0;
  if (target.base === 'numeric') return wholeDigits(target, precision - scale, scale);
  if (integerBits[target.base] !== undefined)
    return scale === 0 ? narrow('numbers beyond its range are refused') : lossy('digits behind the point would be lost');
  if (mantissaBits[target.base] !== undefined) return lossy('digits would be rounded');
  return text({ ...source, length: precision + 2 }, target);
}

/** Floats elsewhere than in their own type. */
export function real(_source: ColumnSchema, target: TargetColumn): Fit | undefined {
  if (target.base === 'float4') return lossy('digits would be rounded');
  if (target.base !== 'numeric') return undefined;
  return numericDigits(target) ? lossy('digits would be rounded away') : chosen('minus zero is refused');
}

export function boolean(_source: ColumnSchema, target: TargetColumn): Fit | undefined {
  if (['bool', 'int2', 'int4', 'int8', 'numeric'].includes(target.base))
    return target.base === 'numeric' ? wholeDigits(target, 1, 0) : exact;
  if (target.base === 'varbit') return exact;
  return target.base === 'bit' && target.typmod === 1 ? exact : undefined;
}

export function bit(source: ColumnSchema, target: TargetColumn): Fit | undefined {
  const bits = source.bits ?? 64;
  if (target.base === 'bytea') return exact;
  if (target.base === 'bit') return target.typmod === bits ? exact : lossy('its number of bits differs');
  if (target.base === 'varbit') return target.typmod < 0 || target.typmod >= bits ? exact : lossy('its number of bits differs');
  const isNumber = target.base === 'numeric' || integerBits[target.base] !== undefined;
  return isNumber ? integer({ ...source, bits, unsigned: true }, target) : undefined;
}
