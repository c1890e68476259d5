/** Every type with thousands of values, three ways: the log, SELECT, and Postgres behind our own sink. On MySQL. */
import { afterAll, beforeAll } from 'vitest';
import { testFamilies } from '../support/typed-families.ts';
import { TypedValues } from '../support/typed-values.ts';

let values: TypedValues;
beforeAll(async () => {
  values = await TypedValues.open('mysql');
});
afterAll(() => values[Symbol.asyncDispose]());

testFamilies('mysql', () => values);
