/** A finding of this connector's checks. */
import type { ErrorCode } from '../../src/core/errors.ts';
import type { Finding } from '../../src/core/ports.ts';

export const finding = (level: Finding['level'], code: ErrorCode, where: string, message: string, fix?: string): Finding => ({
  level,
  code,
  where,
  message,
  ...(fix === undefined ? {} : { fix }),
});
