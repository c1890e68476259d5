/** Whether a new pipeline can begin at once: what is prepared in front of its start would be committed behind it. */
import type { Finding } from '../../../src/core/ports.ts';
import type { Metadata } from '../server/metadata.ts';
import { countOf, endThem, preparedXids } from '../server/open-xa.ts';
import { accountOf, finding } from './finding.ts';

export async function checkOpenXa(metadata: Metadata): Promise<Finding[]> {
  const xids = await preparedXids(metadata);
  if (xids === undefined) {
    return [
      finding(
        'warning',
        'SOURCE_PRIVILEGE',
        'optional: if no application of this server uses XA transactions, there is nothing to do. Else grant XA_RECOVER_ADMIN, so that a new pipeline can wait until the XA transactions that are prepared before it begins are over; one that ends later would stop it',
        `-- Only where applications use XA transactions:\nGRANT XA_RECOVER_ADMIN ON *.* TO ${await accountOf(metadata)};`,
      ),
    ];
  }
  if (xids.length === 0) return [];
  const text = `${countOf(xids)}, the first of them ${xids[0] ?? ''}: a new pipeline begins when all that is prepared now is over`;
  return [finding('warning', 'SOURCE_XA_OPEN', text, endThem(xids))];
}
