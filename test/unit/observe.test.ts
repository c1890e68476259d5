import { describe, expect, test } from 'vitest';
import { asCrossfadeError, CrossfadeError } from '../../src/core/errors.ts';
import { errorFields, type LogLevel, makeLogger, makeMeters, readableLine } from '../../src/runtime/observe.ts';

function logged(format: 'json' | 'text', level: LogLevel = 'debug') {
  const lines: string[] = [];
  return { lines, logger: makeLogger({ level, format, write: (line) => lines.push(line), bindings: { pipeline: 'shop' } }) };
}
const secret = 'hunter2-secret';
const driverError = Object.assign(new Error(`duplicate key (${secret})`), { code: '23505', detail: secret, sql: `insert ${secret}` });
const refused = new CrossfadeError({
  code: 'TARGET_CONSTRAINT',
  fault: 'fatal',
  message: 'constraint people_email refuses a row',
  remedy: 'Drop it.',
  cause: driverError,
});

describe('the logger', () => {
  test('writes one line of JSON: time, level, message, fields', () => {
    const { lines, logger } = logged('json');
    logger.info({ part: 'capture', rows: 3 }, 'batch appended');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'info',
      pipeline: 'shop',
      part: 'capture',
      rows: 3,
      message: 'batch appended',
    });
    expect(JSON.parse(lines[0] ?? '').time).toMatch(/^\d{4}-\d\d-\d\dT/);
  });

  test('its level holds back what is below it', () => {
    const { lines, logger } = logged('json', 'warn');
    logger.info({}, 'no');
    logger.debug({}, 'no');
    logger.warn({}, 'yes');
    expect(lines).toHaveLength(1);
  });

  test('is readable for a person, the remedy on a line of its own', () => {
    const { lines, logger } = logged('text');
    logger.error({ err: refused, service: 'orders' }, 'service stopped');
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d error service stopped {2}service=orders code=TARGET_CONSTRAINT\n/);
    expect(lines[0]).toContain('constraint people_email refuses a row (Error 23505)');
    expect(lines[0]).toContain('→ Drop it.');
  });

  test('readableLine keeps objects short and lines whole', () => {
    expect(readableLine('{"time":"2026-11-21T11:02:33.123Z","level":"info","message":"m","a":{"b":[1]}}')).toBe(
      '11:02:33 info  m  a={"b":[1]}\n',
    );
  });

  test('G13: of what lies behind an error only names and codes are written', () => {
    const { lines, logger } = logged('json');
    const wrapped = new CrossfadeError({
      code: 'SOURCE_FAILED',
      fault: 'fatal',
      message: 'asking db',
      remedy: 'Look.',
      cause: new SyntaxError(`Unexpected token in ${secret}`),
    });
    for (const err of [
      refused,
      wrapped,
      driverError,
      asCrossfadeError(driverError),
      new AggregateError([driverError], secret),
      secret,
      { secret },
    ]) {
      logger.error({ err }, 'failed');
    }
    logger.info({ url: `mysql://u:${secret}@h`, password: secret, settings: { password: secret, dsn: secret } }, 'connected');
    expect(lines.join('')).not.toContain(secret);
    expect(lines).toHaveLength(8);
    expect(JSON.parse(lines[0] ?? '').err).toEqual({
      code: 'TARGET_CONSTRAINT',
      fault: 'fatal',
      message: 'constraint people_email refuses a row',
      remedy: 'Drop it.',
      cause: 'Error 23505',
    });
  });

  test('a bug of ours keeps its words and frames, since they name our own properties only', () => {
    const fields = errorFields(asCrossfadeError(new TypeError("Cannot read properties of undefined (reading 'offset')")));
    expect(fields.code).toBe('INTERNAL');
    expect(fields.message).toContain("reading 'offset'");
    expect(fields.stack?.[0]).toMatch(/^at /);
  });
});

describe('the meters', () => {
  test('the totals survive the way between threads', () => {
    const observed = makeMeters();
    observed.apply('orders').applied('p#0', 3, 0.1);
    observed.state.state('apply orders', 'running');
    expect(structuredClone(observed.totals)).toMatchObject({
      services: { orders: { appliedRecords: 3 } },
      states: { 'apply orders': { state: 'running' } },
    });
  });
});
