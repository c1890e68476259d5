import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { mysqlSchema } from '../../connectors/mysql/config.ts';
import { diverged, fromDriver, purged } from '../../connectors/mysql/errors.ts';
import { describePosition, fileNumber, parsePosition, positionText, type MysqlPosition } from '../../connectors/mysql/position/position.ts';
import { isStatement } from '../../src/commands/check-text.ts';

const defaults = { port: 3306, password: '', tls: false, heartbeatSeconds: 2, maxRowBytes: 67_108_864 };

describe('configuration', () => {
  test.each([
    ['mysql://me:p%40ss@db.internal:3307', { ...defaults, host: 'db.internal', port: 3307, user: 'me', password: 'p@ss' }],
    ['mysql://db', { ...defaults, host: 'db', user: 'root' }],
    ['mariadb://me@db', { ...defaults, host: 'db', user: 'me' }],
    ['mysql://me@[::1]/', { ...defaults, host: '::1', user: 'me' }],
    [
      { url: 'mysql://me@db', tls: true },
      { ...defaults, host: 'db', user: 'me', tls: true },
    ],
    [
      { host: 'db', user: 'me', tls: { ca: 'ca.pem' } },
      { ...defaults, host: 'db', user: 'me', tls: { ca: 'ca.pem', verify: true } },
    ],
    [
      { url: 'mysql://me@db', start: { gtid: '' } },
      { ...defaults, host: 'db', user: 'me', start: { gtid: '' } },
    ],
    [
      { url: 'mysql://me@db', start: { gtid: '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:tag:7' } },
      { ...defaults, host: 'db', user: 'me', start: { gtid: '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:tag:7' } },
    ],
    [
      { url: 'mysql://me@db', start: { gtid: '0-1-5,7-2-9' } },
      { ...defaults, host: 'db', user: 'me', start: { gtid: '0-1-5,7-2-9' } },
    ],
    [
      { url: 'mysql://me@db', start: { file: 'binlog.000004', offset: 4 } },
      { ...defaults, host: 'db', user: 'me', start: { file: 'binlog.000004', offset: 4 } },
    ],
  ])('%j', (input, expected) => {
    expect(mysqlSchema.parse(input)).toEqual(expected);
  });

  test.each([
    ['postgres://me@db'],
    ['mysql://'],
    ['mysql://db/shop'],
    ['mysql://db?tls=true'],
    [{ host: 'db' }],
    [{ url: 'mysql://db', hots: 'db' }],
    [{ url: 'mysql://db', start: { file: 'binlog', offset: 4 } }],
    [{ url: 'mysql://db', start: { gtid: '0-1-5,3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5' } }],
    [{ url: 'mysql://db', start: { gtid: 'binlog.000004' } }],
  ])('%j is refused', (input) => {
    expect(mysqlSchema.safeParse(input).success).toBe(false);
  });

  test('a password that was typed as it is into a URL gets a message that says how to write it', () => {
    const { error } = mysqlSchema.safeParse('mysql://u:p@ss:w/rd#1@db:3306');
    expect(JSON.stringify(error?.issues)).toContain('percent-encode it (/ is %2F');
    expect(JSON.stringify(error?.issues)).not.toContain('rd#1');
  });

  test('it has a JSON Schema for editors', () => {
    expect(JSON.stringify(z.toJSONSchema(mysqlSchema, { io: 'input' }))).toContain('serverId');
  });
});

describe('errors of the driver', () => {
  test.each([
    [{ code: 'ECONNREFUSED' }, 'SOURCE_UNREACHABLE', 'retry'],
    [{ code: 'PROTOCOL_CONNECTION_LOST' }, 'SOURCE_UNREACHABLE', 'retry'],
    [{ message: "Can't add new command when connection is in closed state" }, 'SOURCE_UNREACHABLE', 'retry'],
    [{ code: 'ER_CON_COUNT_ERROR', errno: 1040 }, 'SOURCE_UNREACHABLE', 'retry'],
    [{ code: 'ER_SERVER_SHUTDOWN', errno: 1053 }, 'SOURCE_UNREACHABLE', 'retry'],
    [{ code: 'ER_ACCESS_DENIED_ERROR', errno: 1045 }, 'SOURCE_AUTH', 'fatal'],
    [{ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }, 'SOURCE_AUTH', 'fatal'],
    [{ code: 'ER_SPECIFIC_ACCESS_DENIED_ERROR', errno: 1227 }, 'SOURCE_PRIVILEGE', 'fatal'],
    [{ errno: 1236, message: 'Could not find first log file name in binary log index file' }, 'SOURCE_POSITION_PURGED', 'fatal'],
    [{ errno: 1236, message: 'Cannot replicate because the source purged required binary logs.' }, 'SOURCE_POSITION_PURGED', 'fatal'],
    [
      { errno: 1236, message: 'A replica with the same server_uuid/server_id as this replica has connected to the source' },
      'SOURCE_SERVER_ID_TAKEN',
      'fatal',
    ],
    [{ code: 'AUTH_SWITCH_PLUGIN_ERROR' }, 'SOURCE_AUTH', 'fatal'],
    [{ errno: 1220, message: 'Error when executing command SHOW BINLOG EVENTS: Could not find target log' }, 'SOURCE_FAILED', 'retry'],
    [{ errno: 4052, message: 'A slave with the same server_uuid/server_id is already connected' }, 'SOURCE_SERVER_ID_TAKEN', 'fatal'],
    [{ errno: 1236, message: 'Could not find GTID state requested by slave in any binlog files.' }, 'SOURCE_POSITION_PURGED', 'fatal'],
    [
      { errno: 1236, message: "Error: connecting slave requested to start from GTID 0-1-99, which is not in the master's binlog" },
      'SOURCE_HISTORY_DIVERGED',
      'fatal',
    ],
    [
      {
        errno: 1236,
        message: 'The binlog on the master is missing the GTID 0-1-4 requested by the slave, and GTID strict mode is enabled.',
      },
      'SOURCE_HISTORY_DIVERGED',
      'fatal',
    ],
    [{ errno: 1236, message: 'log event entry exceeded max_allowed_packet; Increase max_allowed_packet' }, 'SOURCE_ROW_TOO_LARGE', 'fatal'],
    [{ errno: 1236, message: 'bogus data in log event; the first event' }, 'SOURCE_POSITION_INVALID', 'fatal'],
    [
      { errno: 1236, message: 'binlog truncated in the middle of event; consider out of disk space on master' },
      'SOURCE_EVENT_CORRUPT',
      'fatal',
    ],
    [{ errno: 1236, message: 'something new' }, 'SOURCE_FAILED', 'fatal'],
    [{ errno: 9999, code: 'ER_WHATEVER', message: "near 'secret'" }, 'SOURCE_FAILED', 'fatal'],
    ['a string', 'SOURCE_FAILED', 'fatal'],
  ])('%j', (thrown, code, fault) => {
    const error = fromDriver(thrown, 'reading');
    expect(error).toMatchObject({ code, fault });
    expect(error.message).not.toContain('secret');
    expect(error.remedy).not.toBe('');
  });
});

test('a torn file is named, and the next one', () => {
  const message =
    "binlog truncated in the middle of event; consider out of disk space on master; the first event 'binlog.000008' at 4, the last event read from './binlog.000009' at 1234, the last byte read from './binlog.000009' at 1300.";
  const error = fromDriver({ errno: 1236, message }, 'reading');
  expect(error.message).toContain('binlog.000009 ends in the middle of an event');
  expect(error.remedy).toContain("PURGE BINARY LOGS TO 'binlog.000010';");
  expect(error.remedy).toContain('FLUSH BINARY LOGS;');
});

test('remedies begin with what costs least', () => {
  for (const { remedy } of [purged('x'), diverged('x')]) {
    expect(remedy).toMatch(/^First/);
    expect(remedy.indexOf('replica')).toBeGreaterThan(0);
    expect(remedy.indexOf('loaded again')).toBeGreaterThan(remedy.indexOf('replica'));
    // Words, not a statement: check wraps them.
    expect(isStatement(remedy)).toBe(false);
  }
  expect(fromDriver({ errno: 4052, message: 'same server_id' }, 'reading').remedy).toContain('SHOW PROCESSLIST');
});

describe('positions', () => {
  const position: MysqlPosition = {
    flavor: 'mysql',
    uuid: 'u',
    epoch: 1,
    gtid: null,
    file: 'binlog.000042',
    pos: 2 ** 33,
    last: { file: 'binlog.000042', pos: 4, gtid: null, before: null, print: '00' },
    xa: [{ xid: 'x', gtid: null, before: null, file: 'binlog.000041', pos: 4, captured: true }],
    throughUs: 5,
  };
  test('are text that comes back, and have a form for people', () => {
    expect(parsePosition(positionText(position))).toEqual(position);
    expect(describePosition(position)).toBe(`binlog.000042:${2 ** 33}`);
    expect(describePosition({ ...position, gtid: '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5' })).toBe(
      '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5',
    );
  });
  test.each([
    { uuid: 1 },
    { epoch: -1 },
    { gtid: 5 },
    { gtid: 'no set' },
    { file: '' },
    { pos: 1.5 },
    { last: {} },
    { flavor: 'oracle' },
    { xa: null },
    { xa: ['x'] },
    { throughUs: 'now' },
  ])('%j is not one', (wrong) => {
    expect(() => parsePosition(JSON.stringify({ ...position, ...wrong }))).toThrow(
      expect.objectContaining({ code: 'SOURCE_POSITION_INVALID' }),
    );
  });
  test('file numbers beyond a million', () => {
    expect(fileNumber('mysql-bin.1000001')).toBe(1_000_001);
    expect(fileNumber('a.b.000007')).toBe(7);
    expect(() => fileNumber('binlog')).toThrow(/position/);
  });
});
