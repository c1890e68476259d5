/** `crossfade config schema|reference`: both made from the very schemas that the file is read with. */
import { jsonSchema } from '../config-schema.ts';
import { referenceText } from '../config-reference.ts';
import type { ExitCode, Invocation } from './command.ts';
import { nearest, usage } from './usage.ts';

export async function config({ words, output }: Invocation): Promise<ExitCode> {
  const [what = ''] = words;
  if (what === 'schema') output.out(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
  else if (what === 'reference') output.out(referenceText(jsonSchema()));
  else throw usage(`config knows no "${what}"${nearest(what, ['schema', 'reference'])}`, 'crossfade config --help');
  return 0;
}
