/** What is stored of an answer, and sent again. */
export interface Answer {
  status: number
  headers: Record<string, string>
  body: string
}

/** A request that carries an `Idempotency-Key`. */
export interface KeyedRequest {
  key: string
  /** Within which the key is one: who sends it, and to which route. */
  scope: string[]
  /** What is asked for. */
  content: string
}

/**
 * Does `work` unless it was done under this key; then it gives the answer of that time.
 * @throws KeyReusedError when something else was asked for under the key; KeyInUseError while it is being done
 */
export type Once = (
  request: KeyedRequest,
  work: () => Promise<Answer>,
) => Promise<{ answer: Answer; isReplay: boolean }>
