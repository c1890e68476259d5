/** The files that a person deploys with agree with the product: what is YAML parses, what is configuration is one. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { parseConfig } from '../../src/config.ts';
import { httpOf } from '../../src/config-health.ts';
import { recipes } from '../../stack/recipes.ts';

const text = (path: string) => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');
/** Every secret's file holds something. */
const variables = { environment: {}, readSecret: () => 'secret' };

const mount = z.object({ name: z.string(), mountPath: z.string(), subPath: z.string().optional() });
const probe = z.object({ httpGet: z.object({ path: z.string(), port: z.literal('http') }) });
const manifest = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('Secret'), stringData: z.record(z.string(), z.string()) }),
  z.object({ kind: z.literal('ConfigMap'), data: z.object({ 'crossfade.yaml': z.string() }) }),
  z.object({ kind: z.literal('Service'), spec: z.object({ selector: z.record(z.string(), z.string()) }) }),
  z.object({
    kind: z.literal('StatefulSet'),
    spec: z.object({
      replicas: z.literal(1),
      template: z.object({
        metadata: z.object({ labels: z.record(z.string(), z.string()) }),
        spec: z.object({
          volumes: z.array(z.object({ name: z.string() })),
          containers: z.tuple([
            z.object({ livenessProbe: probe, readinessProbe: probe, startupProbe: probe, volumeMounts: z.array(mount) }),
          ]),
        }),
      }),
      volumeClaimTemplates: z.array(z.object({ metadata: z.object({ name: z.string() }) })),
    }),
  }),
]);

describe('deploy/kubernetes', () => {
  const documents = parseAllDocuments(text('deploy/kubernetes/crossfade.yaml'), { uniqueKeys: true });
  const manifests = documents.map((document) => manifest.parse(document.toJS()));
  const one = <Kind extends z.infer<typeof manifest>['kind']>(kind: Kind) =>
    manifests.find((each): each is Extract<z.infer<typeof manifest>, { kind: Kind }> => each.kind === kind)!;

  test('every document parses without an error or a warning', () => {
    expect(documents.flatMap(({ errors, warnings }) => [...errors, ...warnings])).toEqual([]);
    expect(manifests.map(({ kind }) => kind)).toEqual(['Secret', 'ConfigMap', 'Service', 'StatefulSet']);
  });

  test('the configuration in it is one, and asks only for secrets that are there', () => {
    const asked = new Set<string>();
    const reading = parseConfig(one('ConfigMap').data['crossfade.yaml'], '/var/lib/crossfade/crossfade.yaml', {
      environment: {},
      readSecret: (path) => (asked.add(path), 'secret'),
    });
    expect('problems' in reading ? reading.problems : []).toEqual([]);
    const keys = Object.keys(one('Secret').stringData);
    expect([...asked].sort()).toEqual(keys.map((key) => `/run/secrets/crossfade/${key}`).sort());
  });

  test('the probes ask alive and ready, and every mount has its volume', () => {
    const { template, volumeClaimTemplates } = one('StatefulSet').spec;
    const [container] = template.spec.containers;
    expect(container.livenessProbe.httpGet.path).toBe('/livez');
    expect(container.startupProbe.httpGet.path).toBe('/livez');
    expect(container.readinessProbe.httpGet.path).toBe('/readyz');
    const volumes = [...template.spec.volumes.map(({ name }) => name), ...volumeClaimTemplates.map(({ metadata }) => metadata.name)];
    expect(container.volumeMounts.map(({ name }) => name).sort()).toEqual(volumes.sort());
    expect(one('Service').spec.selector).toEqual(template.metadata.labels);
  });
});

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
