import { expect, test } from 'vitest';

import { parseConfig } from '../../src/config.ts';

const file = (service: string) => `pipeline: shop
source: { mysql: "mysql://me@localhost" }
services:
  one: ${service}
`;
const read = (service: string) => parseConfig(file(service), '/etc/crossfade.yaml', { environment: {}, readSecret: () => undefined });

test('onPoison: halt where nothing is said, quarantine for Postgres', () => {
  const [silent, spoken] = ['', 'onPoison: quarantine, '].map((text) =>
    read(`{ postgres: "postgres://me@localhost/x", ${text}tables: { shop.orders: } }`),
  );
  expect(silent).toMatchObject({ config: { services: [{ onPoison: 'halt' }] } });
  expect(spoken).toMatchObject({ config: { services: [{ onPoison: 'quarantine' }] } });
});

test('onPoison: quarantine is refused for Redis, at its place and with the way out', () => {
  const reading = read(`{ redis: "redis://localhost", onPoison: quarantine, tables: { shop.orders: { shape: hash, key: "o:{id}" } } }`);
  expect(reading).toMatchObject({
    problems: [{ path: 'services.one.onPoison', message: expect.stringContaining('only Postgres has a quarantine') as string }],
  });
});
