import { expect, test } from 'vitest';

import { configText } from '../../bench/config-file.ts';
import { configuration } from '../../demo/folder.ts';
import { parseConfig } from '../../src/config.ts';

const startGtid = '63a79694-e5a1-11f1-9fb7-02fc00000001:1-5';
const variables = { environment: {}, readSecret: () => undefined };
const urls = {
  mysql: 'mysql://root@127.0.0.1:3306',
  postgres: 'postgres://postgres@127.0.0.1:5432/orders',
  redis: 'redis://127.0.0.1:6379',
};

function configOf(text: string) {
  const reading = parseConfig(text, '/somewhere/crossfade.yaml', variables);
  if ('problems' in reading) throw new Error(reading.problems.map(({ path, message }) => `${path}: ${message}`).join('\n'));
  return reading.config;
}

test('the file that the demo writes is one that crossfade takes, and begins before the first row', () => {
  const config = configOf(configuration(urls, startGtid));
  expect(config.source.settings.start).toEqual({ gtid: startGtid });
  expect(config.services.map(({ name, mappings }) => [name, mappings.length])).toEqual([
    ['orders', 4],
    ['storefront', 1],
  ]);
});

test('with a broker the log is Kafka, and nothing else is another', () => {
  const [embedded, onKafka] = [configuration(urls, startGtid), configuration(urls, startGtid, '127.0.0.1:9092')];
  expect(configOf(onKafka).log).toMatchObject({ kind: 'kafka', settings: { brokers: [{ host: '127.0.0.1', port: 9092 }] } });
  const other = onKafka.split('\n').filter((line) => !embedded.split('\n').includes(line));
  expect(other).toEqual(["log: { kafka: '127.0.0.1:9092' }"]);
});

test('the file that the benchmark writes is one that crossfade takes, also where no GTID was executed yet', () => {
  const config = configOf(
    configText({ mysqlUrl: urls.mysql, startGtid: '', postgresUrl: urls.postgres, table: 'bench_bulk', pipeline: 'stage_bulk' }),
  );
  expect(config.source.settings.start).toEqual({ gtid: '' });
  expect(config.tables).toEqual([{ database: 'crossfade_bench', table: 'bench_bulk' }]);
});
