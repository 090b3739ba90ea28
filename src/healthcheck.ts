import { get } from 'node:http'

// Asks the server beside it whether it is ready: exit code 0 or 1. For the container's health check, where
// there need be neither a shell nor curl. Not by `fetch`, which refuses some ports.
const any: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' }
const given = process.env['HOST']?.trim() || '127.0.0.1'
const host = any[given] ?? given
const port = process.env['PORT']?.trim() || '5000'

setTimeout(() => process.exit(1), 3000)
get({ host, port, path: '/health/ready' }, ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1)).on(
  'error',
  () => process.exit(1),
)
