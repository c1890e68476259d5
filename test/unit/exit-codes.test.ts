import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { exitCodeOf } from '../../src/commands/failure.ts';
import { CrossfadeError, errorCodes } from '../../src/core/errors.ts';

const error = (code: CrossfadeError['code']) => new CrossfadeError({ code, fault: 'fatal', message: 'm', remedy: 'r' });

test('what needs a person ends with 4, the configuration with 2, what nobody foresaw with 5', () => {
  const five = errorCodes.filter((code) => exitCodeOf(error(code)) === 5);
  const two = errorCodes.filter((code) => exitCodeOf(error(code)) === 2);
  expect([five, two]).toEqual([['INTERNAL'], ['CONFIG_INVALID', 'CONFIG_UNREADABLE', 'USAGE']]);
  expect(exitCodeOf(error('SOURCE_SERVER_ID_TAKEN'))).toBe(4);
  expect(exitCodeOf(new TypeError('a bug'))).toBe(5);
});

test('of several failures the one that needs a person decides', () => {
  expect(exitCodeOf(new AggregateError([new TypeError('a bug'), error('TARGET_TABLE_MISSING')]))).toBe(4);
  expect(exitCodeOf(new AggregateError([new TypeError('a bug'), error('INTERNAL')]))).toBe(5);
});

test('the unit of the guide does not start again what a person has to look at, and everything else', () => {
  const guide = readFileSync(new URL('../../docs/guide.md', import.meta.url), 'utf8');
  const unit = /```ini\n# \/etc\/systemd[^`]*```/.exec(guide)?.[0] ?? '';
  expect(unit).toContain('\nRestart=always\nRestartPreventExitStatus=2 4\n');
});
