import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'

/** Newline-delimited JSON: a value on each line (github.com/ndjson/ndjson-spec). */
const ndjson = 'application/x-ndjson'

/**
 * Answers with a line for each row, written by the route's response schema. Rows are read as quickly as the client
 * takes them, and no further when it goes: memory holds two chunks, however many there are. After a fault in the
 * middle the connection breaks, so that what came is not taken for all.
 */
export function sendLines(reply: FastifyReply, chunks: AsyncIterable<Record<string, unknown>[]>) {
  const write = reply.getSerializationFunction('200')!
  async function* lines() {
    for await (const rows of chunks) yield rows.map((row) => `${write(row)}\n`).join('')
  }
  return reply.type(ndjson).send(Readable.from(lines(), { objectMode: false }))
}
