import { expect, test } from 'vitest';
import { GtidSet } from '../../connectors/mysql/position/gtid.ts';
import { startLineAfter, withWayPast } from '../../connectors/mysql/position/way-past.ts';
import { refusedEvent } from '../../connectors/mysql/stream/events.ts';
import { rowTooLarge } from '../../connectors/mysql/errors.ts';
import { CrossfadeError } from '../../src/core/errors.ts';

const uuid = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

test.each([
  [`${uuid}:42`, `start: { gtid: '${uuid}:1-42' }`],
  [`${uuid}:1`, `start: { gtid: '${uuid}:1' }`],
  [`${uuid}:tag:7`, `start: { gtid: '${uuid}:tag:1-7' }`],
  ['binlog.000007:1234', 'start: { file: binlog.000007, offset: 1234 }'],
  ['0-1-42', "start: { gtid: '0-1-42' }"],
  ['something else', undefined],
  ['', undefined],
])('what comes behind %j is named as the configuration wants it', (transactionId, line) => {
  expect(startLineAfter(transactionId)).toBe(line);
});

const error = (code: 'SOURCE_STATEMENT_UNSUPPORTED' | 'SOURCE_UNREACHABLE') =>
  new CrossfadeError({ code, fault: 'fatal', message: 'what', remedy: 'Do this.' });
const refusal = {
  executed: GtidSet.parse(`${uuid}:1-41`),
  gtid: `${uuid}:42`,
  from: { file: 'binlog.000007', offset: 100 },
  eventEnd: { file: 'binlog.000007', offset: 300 },
  alone: true,
};

test('G1: the way past a refused transaction names the position right behind it', () => {
  const { remedy } = withWayPast(error('SOURCE_STATEMENT_UNSUPPORTED'), refusal);
  expect(remedy).toMatch(/^Do this\. /);
  expect(remedy).toContain(`"start: { gtid: '${uuid}:1-42' }"`);
  const byFile = { ...refusal, executed: null, gtid: null };
  expect(withWayPast(error('SOURCE_STATEMENT_UNSUPPORTED'), byFile).remedy).toContain('"start: { file: binlog.000007, offset: 300 }"');
  // Inside a transaction nobody knows yet where it ends: the place to look is named instead of a wrong offset.
  const inside = withWayPast(error('SOURCE_STATEMENT_UNSUPPORTED'), { ...byFile, alone: false }).remedy;
  expect(inside).toContain("SHOW BINLOG EVENTS IN 'binlog.000007' FROM 100");
  expect(inside).not.toContain('offset: 300');
});

test('a row for which there is no memory has the way past as its second choice; where the binlog itself lacks changes there is none', () => {
  const { remedy } = withWayPast(rowTooLarge({ database: 'd', table: 't' }, 70_000_000, 67_108_864, 'binlog.000007:300'), refusal);
  expect(remedy).toContain('source: { mysql: { url: …, maxRowBytes: 88080384 } }');
  expect(remedy).toMatch(/If not: The way past this transaction: .*1-42/);
  expect(withWayPast(rowTooLarge({ database: 'd', table: 't' }, 2 ** 31, 2 ** 30, 'x'), refusal).remedy).not.toContain('maxRowBytes');
  const incident = withWayPast(refusedEvent(26, 'binlog.000007:300'), refusal);
  expect(incident.remedy).toContain('"A new pipeline with the tables loaded again"');
  expect(incident.remedy).not.toContain('behind a change');
});

test('an error that passes by itself names no way past', () => {
  expect(withWayPast(error('SOURCE_UNREACHABLE'), refusal).remedy).toBe('Do this.');
});
