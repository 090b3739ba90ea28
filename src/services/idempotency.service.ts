import { createHmac } from 'node:crypto'
import { KeyInUseError, KeyReusedError, UnavailableError } from '../core/errors.ts'
import type { Answer, KeyedRequest, Once } from '../core/idempotency.ts'
import { createEncryption } from '../core/security/encryption.ts'
import type { Fingerprint } from '../core/security/fingerprints.ts'
import type { Database } from '../db/database.ts'
import type { IdempotencyKeyRepository } from '../repositories/idempotency-key.repository.ts'

export interface IdempotencyDependencies {
  keys: IdempotencyKeyRepository
  frame: Database['frame']
  fingerprint: Fingerprint
  /** How long an answer is kept, in seconds. */
  lifetime: number
}

/** A transaction found that another one has the key. */
class ClaimedError extends Error {}

/**
 * Sees to it that a change that is asked for twice is made once (draft-ietf-httpapi-idempotency-key-header). The answer
 * is stored in the transaction of the change: there are both or neither, wherever the server is killed, and nothing
 * is left of a request that did not come to its end. A request that failed changed nothing, and may come again.
 */
export function createIdempotencyService({ keys, frame, fingerprint, lifetime }: IdempotencyDependencies) {
  /** The requests that this process is busy with, by their key, and what each asks for. */
  const running = new Map<string, string>()

  const once: Once = async (request, work) => {
    const { key, request_hash, seal, open } = secretsOf(request)

    async function recall() {
      const known = await keys.find(key)
      if (known && known.request_hash !== request_hash) throw new KeyReusedError()
      return known?.answer ? { answer: open(known.answer), isReplay: true } : undefined
    }

    const known = await recall()
    if (known) return known
    const other = running.get(key)
    if (other !== undefined) throw other === request_hash ? new KeyInUseError() : new KeyReusedError()
    running.set(key, request_hash)
    try {
      const answer = await frame(work, {
        async begin() {
          if (!(await keys.claim({ key, request_hash, seconds: lifetime }))) throw new ClaimedError()
        },
        complete: (result) => keys.complete(key, seal(result)),
        abandon: () => keys.release(key),
      })
      return { answer, isReplay: false }
    } catch (error) {
      if (error instanceof UnavailableError) throw error
      // Another process may have been quicker, and what it made be why this one failed.
      const made = await recall()
      if (made) return made
      throw error instanceof ClaimedError ? new KeyInUseError() : error
    } finally {
      running.delete(key)
    }
  }

  /**
   * Answers hold tokens, and requests passwords. What is stored of them can be read, and guessed at, by nobody who
   * has the database and even our keys: it takes the client's key as well, of which there is a hash.
   */
  function secretsOf({ key, scope, content }: KeyedRequest) {
    const secret = (purpose: string) => fingerprint('idempotency', purpose, key, ...scope)
    const encryption = () => createEncryption([Buffer.from(secret('answer'), 'hex').toString('base64url')])
    return {
      key: secret('key'),
      request_hash: createHmac('sha256', secret('request')).update(content).digest('hex'),
      seal: (answer: Answer) => encryption().encrypt(JSON.stringify(answer)),
      open: (sealed: string) => JSON.parse(encryption().decrypt(sealed)) as Answer,
    }
  }

  return { once }
}
