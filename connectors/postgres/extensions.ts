/** Which extensions' types this database has: proposals use them where they are. */
import type { ExtensionTypes } from './ddl.ts';
import { quote } from './identifiers.ts';
import type { Session } from './session.ts';

export async function extensionTypes(session: Session): Promise<ExtensionTypes> {
  const rows = await session.query(
    'looking for extensions',
    `SELECT e.extname, n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname IN ('postgis', 'vector')`,
  );
  const schemaOf = new Map(rows.map(([name, schema]) => [name, schema ?? '']));
  const [postgis, vector] = [schemaOf.get('postgis'), schemaOf.get('vector')];
  return {
    ...(postgis === undefined ? {} : { geometry: typeIn(postgis, 'geometry') }),
    ...(vector === undefined ? {} : { vector: typeIn(vector, 'vector') }),
  };
}

/** `public` is on everybody's search path; anything else is spelled out. */
const typeIn = (schema: string, type: string) => (schema === 'public' ? type : `${quote(schema)}.${type}`);
