import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { UnavailableError } from '../errors.ts'

/** Newline-delimited JSON: a value on each line (github.com/ndjson/ndjson-spec). */
const ndjson = 'application/x-ndjson'

/** Milliseconds after which a client that takes nothing is taken for gone. */
const patience = 60_000
/** Answers of this kind that one process gives at once: of the longest rows each holds some megabytes, for as long as its client likes. */
const atOnce = 50
/** Rows that are written as one text. */
const slice = 20

let running = 0

/**
 * Answers with a line for each row, written by the route's response schema. Rows are read as quickly as the client
 * takes them, and no further when it goes: memory holds two chunks, however many there are. After a fault in the
 * middle the connection breaks, so that what came is not taken for all.
 * @throws UnavailableError when there are too many such answers already
 */
export function sendLines(reply: FastifyReply, chunks: AsyncIterable<Record<string, unknown>[]>) {
  // Whoever asks for the headers alone does not want every row to be read.
  if (reply.request.method === 'HEAD') return reply.type(ndjson).send()
  if (running >= atOnce) throw new UnavailableError('The server is busy', { retryAfter: 10 })
  const write = reply.getSerializationFunction('200')!
  async function* lines() {
    for await (const rows of chunks)
      for (let at = 0; at < rows.length; at += slice)
        yield rows
          .slice(at, at + slice)
          .map((row) => `${write(row)}\n`)
          .join('')
  }
  running++
  const stream = Readable.from(lines(), { objectMode: false }).once('close', () => running--)
  // Node breaks the connection then, since nobody listens.
  reply.raw.setTimeout(patience)
  return reply.type(ndjson).send(stream)
}
