/** The files that a person deploys with agree with the product: what is YAML parses, what is configuration is one. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { parseConfig } from '../../src/config.ts';
import { httpOf } from '../../src/config-health.ts';
import { recipes } from '../../stack/recipes.ts';

const text = (path: string) => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');
/** Every secret's file holds something. */
const variables = { environment: {}, readSecret: () => 'secret' };

const compose = z.object({
  services: z.record(
    z.string(),
    z.object({
      image: z.string(),
      ports: z.array(z.string()),
      healthcheck: z.unknown().optional(),
      secrets: z.array(z.string()).default([]),
    }),
  ),
  secrets: z.record(z.string(), z.object({ file: z.string() })),
});

describe('docker-compose.yml', () => {
  const { services, secrets } = compose.parse(parse(text('docker-compose.yml')));

  test('the pipeline of deploy/compose is a configuration', () => {
    const reading = parseConfig(text('deploy/compose/crossfade.yaml'), '/var/lib/crossfade/crossfade.yaml', variables);
    expect('problems' in reading ? reading.problems : []).toEqual([]);
  });

  test('every server has a health check, the image that stack/ asks for, and ports on this machine alone', () => {
    for (const name of ['mysql', 'postgres', 'redis', 'kafka'] as const) {
      expect(services[name]?.image).toBe(recipes[name].container.image);
      expect(services[name]?.healthcheck).toBeDefined();
    }
    const ports = Object.values(services).flatMap((service) => service.ports);
    expect(ports).toHaveLength(5);
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
  });

  test('the secrets that are asked for are those that secrets.sh makes', () => {
    const made = /^for name in (.*); do$/m.exec(text('deploy/compose/secrets.sh'))?.[1]?.split(' ') ?? [];
    expect(Object.keys(secrets).sort()).toEqual(made.sort());
    expect([...new Set(Object.values(services).flatMap((service) => service.secrets))].sort()).toEqual(made.sort());
    for (const [name, { file }] of Object.entries(secrets)) expect(file).toBe(`./deploy/compose/secrets/${name}`);
  });
});

describe('Dockerfile', () => {
  const file = text('Dockerfile');

  test('it copies only what .dockerignore lets through, and all of that', () => {
    const allowed = text('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const copied = [...file.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, sources = '']) => sources.split(' '));
    expect([...new Set(copied)].sort()).toEqual(allowed.sort());
  });

  test('the health check asks for the address that a daemon has by default', () => {
    const http = httpOf(undefined);
    if (http === 'off') throw new Error('no address by default');
    expect(file).toContain(`http://${http.host}:${http.port}/livez`);
  });
});
