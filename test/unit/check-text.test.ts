/** How findings are shown: to a person, and as statements for a server's own client. */
import { expect, test } from 'vitest';
import { problemBlock, serversOf, statementsText } from '../../src/commands/check-text.ts';
import { makeOutput } from '../../src/commands/output.ts';

const finding = (where: string, fix?: string) =>
  ({ level: 'error', code: 'X', where, message: 'm', ...(fix === undefined ? {} : { fix }) }) as const;

test('statements are grouped by target, repeated ones once, what is no SQL as a comment', () => {
  const text = statementsText([
    finding('source', 'SET PERSIST binlog_row_image = FULL'),
    finding('service orders: shop.a', 'CREATE TABLE a (\n  id int\n);'),
    finding('service orders: shop.b', 'CREATE TABLE a (\n  id int\n);'),
    finding('service orders'),
    finding('log', 'partitions: 2'),
  ]);
  expect(text).toBe(
    '-- run on: source\nSET PERSIST binlog_row_image = FULL;\n\n-- run on: service orders\nCREATE TABLE a (\n  id int\n);\n\n-- run on: log\n-- partitions: 2\n',
  );
  expect(
    serversOf([finding('source: a.b', 'SET x'), finding('log', 'partitions: 2'), finding('service orders', 'CREATE TABLE a')]),
  ).toEqual(['source', 'service orders']);
});

test('the ALTERs of one table are one statement, where the first of them stood', () => {
  const orders = (clause: string) => finding('service orders: shop.a', `ALTER TABLE "public"."a;""b" ${clause};`);
  const text = statementsText([
    orders('ALTER COLUMN "x" TYPE text'),
    finding('service orders: shop.b', 'ALTER TABLE "public"."b" ADD UNIQUE ("id");'),
    finding('service orders: shop.b', '-- read this\nALTER TABLE "public"."b" ADD COLUMN "w" integer NOT NULL;'),
    orders('ALTER COLUMN "x" DROP NOT NULL'),
    orders('ALTER COLUMN "x" DROP NOT NULL'),
  ]);
  expect(text).toBe(
    `-- run on: service orders
ALTER TABLE "public"."a;""b"
  ALTER COLUMN "x" TYPE text,
  ALTER COLUMN "x" DROP NOT NULL;
ALTER TABLE "public"."b" ADD UNIQUE ("id");
-- read this
ALTER TABLE "public"."b" ADD COLUMN "w" integer NOT NULL;
`,
  );
});

test('words are wrapped at the width of the terminal, what is pasted is not', () => {
  const stream = { isTTY: false, columns: 60, write: () => true } as unknown as NodeJS.WriteStream;
  const output = makeOutput({ stdout: stream, stderr: stream, stdin: {} as NodeJS.ReadStream }, {});
  const words = 'give shop.orders a primary key, or name the columns that identify a row under "source.keys" in the configuration';
  const lines = (fix: string) => problemBlock(finding('source', fix), output).split('\n');
  expect(lines(words).every((line) => line.length <= 60)).toBe(true);
  const transforms = `transforms: [{ rename: { "${'x'.repeat(30)}": "${'y'.repeat(30)}" } }]`;
  expect(lines(transforms)).toContain(`  ${transforms}`);
});
