import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { referenceText } from '../../src/config-reference.ts';
import { jsonSchema } from '../../src/config-schema.ts';

test('docs/reference.md is what `crossfade config reference` prints', () => {
  expect(readFileSync(new URL('../../docs/reference.md', import.meta.url), 'utf8')).toBe(referenceText(jsonSchema()));
});

test('the JSON Schema describes what a person writes, defaults and later releases left out', () => {
  const schema = jsonSchema();
  expect(schema.required).toEqual(['pipeline', 'source']);
  expect(schema.additionalProperties).toBe(false);
  expect(Object.keys(schema.properties ?? {})).toEqual(['pipeline', 'source', 'log', 'services', 'streams', 'lag', 'http']);
});

test('every top-level setting says what it is for', () => {
  const silent = Object.entries(jsonSchema().properties ?? {}).filter(([, { description }]) => !description);
  expect(silent.map(([name]) => name)).toEqual([]);
});
