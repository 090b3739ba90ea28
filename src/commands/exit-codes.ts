/** What the exit codes besides 0 mean. Scripts rely on them. */
export const exitCodes = {
  /** It failed, or the answer is no. */
  failed: 1,
  /** Used or configured wrongly. */
  misused: 2,
  /** The database is away. */
  unavailable: 3,
  cancelled: 130,
} as const
