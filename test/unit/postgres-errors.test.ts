import { describe, expect, test } from 'vitest';

import { isConnectionLost, postgresError } from '../../connectors/postgres/errors.ts';

const server = (code: string, rest: object = {}) =>
  Object.assign(new Error('duplicate key (email)=(secret@example.com)'), {
    severity: 'ERROR',
    code,
    detail: 'Key (email)=(secret@example.com)',
    where: 'COPY line 3: secret',
    ...rest,
  });
const network = (code: string) => Object.assign(new Error(`connect ${code} 10.0.0.1:5432`), { code });

describe('errors of pg', () => {
  test.each([
    ['08006', 'TARGET_UNREACHABLE', 'retry'],
    ['57P01', 'TARGET_UNREACHABLE', 'retry'],
    ['57P03', 'TARGET_UNREACHABLE', 'retry'],
    ['53300', 'TARGET_UNREACHABLE', 'retry'],
    ['25P03', 'TARGET_UNREACHABLE', 'retry'],
    ['53100', 'TARGET_FULL', 'retry'],
    ['40001', 'TARGET_BUSY', 'retry'],
    ['40P01', 'TARGET_BUSY', 'retry'],
    ['55P03', 'TARGET_BUSY', 'retry'],
    ['57014', 'TARGET_BUSY', 'retry'],
    ['25006', 'TARGET_SETTING', 'retry'],
    ['28P01', 'TARGET_AUTH', 'fatal'],
    ['3D000', 'TARGET_SETTING', 'fatal'],
    ['42501', 'TARGET_PRIVILEGE', 'fatal'],
    ['42P01', 'TARGET_TABLE_MISSING', 'fatal'],
    ['42703', 'TARGET_COLUMN_MISSING', 'fatal'],
    ['42P10', 'TARGET_KEY_MISSING', 'fatal'],
    ['22P02', 'TARGET_VALUE_REFUSED', 'poison'],
    ['22003', 'TARGET_VALUE_REFUSED', 'poison'],
    ['22001', 'TARGET_VALUE_REFUSED', 'poison'],
    ['23505', 'TARGET_CONSTRAINT', 'fatal'],
    ['23503', 'TARGET_CONSTRAINT', 'fatal'],
    ['23502', 'TARGET_CONSTRAINT', 'fatal'],
    ['23514', 'TARGET_CONSTRAINT', 'fatal'],
    ['XX001', 'TARGET_FAILED', 'fatal'],
    ['P0001', 'TARGET_FAILED', 'fatal'],
  ])('SQLSTATE %s is %s, %s', (state, code, fault) => {
    expect(postgresError(server(state), { doing: 'writing' })).toMatchObject({ code, fault });
  });

  test.each(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN'])('%s is retried', (code) => {
    expect(postgresError(network(code), { doing: 'connecting' })).toMatchObject({ code: 'TARGET_UNREACHABLE', fault: 'retry' });
  });

  test('several addresses that all refuse are one unreachable server', () => {
    const both = new AggregateError([network('ECONNREFUSED'), network('ECONNREFUSED')], '');
    expect(postgresError(both, { doing: 'connecting' })).toMatchObject({ code: 'TARGET_UNREACHABLE' });
  });

  test('a stranger’s error is fatal', () => {
    expect(postgresError(new TypeError('x is not a function'), { doing: 'writing' })).toMatchObject({ fault: 'fatal' });
    expect(postgresError('text', { doing: 'writing' })).toMatchObject({ fault: 'fatal' });
  });

  test.each(['22P02', '23505', '23514', 'XX000', '08006'])('G13: neither message, remedy nor cause of %s holds a value', (state) => {
    const error = postgresError(server(state, { constraint: 'one_email', table: 'people', column: 'email' }), { doing: 'writing' });
    expect(JSON.stringify([error, error.message, error.remedy, error.cause, error.stack])).not.toContain('secret');
    expect(error.message).toContain('constraint one_email');
    expect(error.message).toContain('table people');
  });

  test('after FATAL and after a lost socket nobody knows whether a commit happened', () => {
    expect(isConnectionLost(server('57P01', { severity: 'FATAL' }))).toBe(true);
    expect(isConnectionLost(network('ECONNRESET'))).toBe(true);
    expect(isConnectionLost(new Error('Connection terminated unexpectedly'))).toBe(true);
    expect(isConnectionLost(server('23505'))).toBe(false);
  });
});
