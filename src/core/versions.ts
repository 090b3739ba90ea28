import { PreconditionFailedError } from './errors.ts'

/** The versions of a row from which a change may start; undefined: whichever it has. */
export type Expected = readonly number[] | undefined

/** Versions begin with 1: a statement that asks for this one finds no row. */
const noVersion = 0

/**
 * The version that a statement shall ask for; undefined when it need not. Of several it is the present one, which
 * `read` gives, if it is among them. The statement decides: whoever changes the row meanwhile wins.
 */
export async function expectedVersion(
  expected: Expected,
  read: () => Promise<{ version: number } | undefined>,
): Promise<number | undefined> {
  if (expected === undefined || expected.length === 1) return expected?.[0]
  const row = await read()
  return row && expected.includes(row.version) ? row.version : noVersion
}

/** For what changes nothing. @throws PreconditionFailedError when a row has none of the versions */
export function requireVersion({ version }: { version: number }, expected: Expected): void {
  if (expected && !expected.includes(version)) throw new PreconditionFailedError()
}
