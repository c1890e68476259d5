/** One spelling of TLS for all three servers, and paths that are taken from the configuration file's folder. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parseConfig, problemText } from '../../src/config.ts';
import { tlsOptions, tlsSchema } from '../../src/config-tls.ts';

const folder = mkdtempSync(join(tmpdir(), 'crossfade-tls-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'crossfade.yaml');

const text = (tls: string) => `pipeline: shop
source: { mysql: { url: mysql://u@h, tls: ${tls} } }
services:
  a: { postgres: { url: postgres://u@h/d, tls: ${tls} }, tables: { s.t: } }
  b: { postgres: { database: d, user: u, tls: ${tls} }, tables: { s.t: } }
  c: { redis: { url: redis://h, tls: ${tls} }, tables: { s.t: { key: "{id}" } } }
`;
const read = (tls: string, readable: readonly string[] = []) =>
  parseConfig(text(tls), file, { environment: {}, readSecret: (path) => (readable.includes(path) ? '' : undefined) });

function settingsOf(tls: string, readable: readonly string[] = []) {
  const reading = read(tls, readable);
  if ('problems' in reading) throw new Error(reading.problems.map((problem) => problemText(file, problem)).join('\n'));
  const { source, services } = reading.config;
  return [source.settings.tls, ...services.map(({ target }) => target.settings.tls)];
}

describe('tls is spelled the same for MySQL, Postgres and Redis', () => {
  test.each([
    ['true', true],
    ['false', false],
    ['{ verify: false }', { verify: false }],
  ])('%s', (spelled, means) => expect(settingsOf(spelled)).toEqual([means, means, means, means]));

  test("a path is taken from the configuration file's folder", () => {
    const paths = { ca: join(folder, 'certs/ca.pem'), cert: '/etc/our.pem', key: join(folder, 'our.key') };
    expect(settingsOf('{ ca: certs/ca.pem, cert: /etc/our.pem, key: our.key }', Object.values(paths))).toEqual(
      Array.from({ length: 4 }, () => ({ ...paths, verify: true })),
    );
  });

  test('a file that is not there is told with its place, for each server', () => {
    const reading = read('{ ca: ca.pem }');
    const said = 'problems' in reading ? reading.problems.map((problem) => problemText(file, problem)) : [];
    expect(said.map((line) => line.replace(/^\S+ /, ''))).toEqual(
      ['source.mysql', 'services.a.postgres', 'services.b.postgres', 'services.c.redis'].map(
        (server) => `${server}.tls.ca: names a file that cannot be read`,
      ),
    );
  });

  test('a certificate without its key is half a sentence', () => {
    expect(tlsSchema.safeParse({ cert: 'a' }).success).toBe(false);
    expect(tlsSchema.safeParse({ cert: 'a', key: 'b' }).success).toBe(true);
  });
});

describe('G13: what a driver is told', () => {
  test('verification is off only where a person says so', () => {
    expect(tlsOptions(false)).toBeUndefined();
    expect(tlsOptions(true)).toEqual({ rejectUnauthorized: true });
    expect(tlsOptions(tlsSchema.parse({}))).toEqual({ rejectUnauthorized: true });
    expect(tlsOptions({ verify: false })).toEqual({ rejectUnauthorized: false });
  });

  test('files are read at each connection, so a renewed certificate is found; one that is gone is named', () => {
    const ca = join(folder, 'ca.pem');
    writeFileSync(ca, 'old');
    expect(tlsOptions({ ca, verify: true })?.ca?.toString()).toBe('old');
    writeFileSync(ca, 'new');
    expect(tlsOptions({ ca, verify: true })?.ca?.toString()).toBe('new');
    rmSync(ca);
    expect(() => tlsOptions({ ca, verify: true })).toThrow(expect.objectContaining({ code: 'CONFIG_UNREADABLE', fault: 'fatal' }));
  });
});
