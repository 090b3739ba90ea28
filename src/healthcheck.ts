// Asks the server beside it whether it is ready: exit code 0 or 1. For the container's health check, where
// there need be neither a shell nor curl.
const { HOST = '127.0.0.1', PORT = '5000' } = process.env
const any: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' }
const host = any[HOST] ?? HOST

const url = `http://${host.includes(':') ? `[${host}]` : host}:${PORT}/health/ready`
const isReady = await fetch(url, { signal: AbortSignal.timeout(3000) }).then(
  ({ ok }) => ok,
  () => false,
)
// Said at once: a connection that is kept alive would hold the process.
process.exit(isReady ? 0 : 1)
