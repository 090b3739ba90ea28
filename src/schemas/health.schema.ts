import { z } from 'zod'
import { success } from './responses.ts'

const tags = ['health']

export const health = {
  operationId: 'health',
  tags,
  summary: 'Whether the service runs',
  description: 'Asks no dependency.',
  response: {
    200: success(
      z.object({
        status: z.literal('healthy'),
        version: z.string().meta({ examples: ['1.0.0'] }),
        uptime_seconds: z.number().meta({ examples: [3600] }),
      }),
    ),
  },
}

export const live = {
  operationId: 'live',
  tags,
  summary: 'Liveness probe',
  description: 'Answers as long as the process does. Restart it when it does not.',
  response: { 200: success(z.object({ status: z.literal('live') })) },
}

export const ready = {
  operationId: 'ready',
  tags,
  summary: 'Readiness probe',
  description:
    'Whether requests should be sent here: the database answers and the server is not stopping. Otherwise 503.',
  response: { 200: success(z.object({ status: z.literal('ready') })) },
}
