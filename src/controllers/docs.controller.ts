import { createReadStream } from 'node:fs'
import { createRequire } from 'node:module'
import { open } from '../core/http/guards.ts'
import { describeRoutes } from '../core/http/openapi.ts'
import type { App } from '../core/http/validation.ts'
import { version } from '../core/version.ts'
import { errorReply, problemReply } from '../schemas/responses.ts'

const { resolve } = createRequire(import.meta.url)
const path = '/api/docs'

/** Nothing inline and nothing from elsewhere. Swagger UI's icons are `data:` images. */
const contentPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const page = (title: string) => `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>${title.replaceAll(/[&<>]/g, (letter) => `&#${letter.codePointAt(0)};`)}</title>
    <link rel="icon" href="${path}/assets/favicon-32x32.png">
    <link rel="stylesheet" href="${path}/assets/swagger-ui.css">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="${path}/assets/swagger-ui-bundle.js"></script>
    <script src="${path}/assets/start.js"></script>
  </body>
</html>
`

const startScript = `SwaggerUIBundle({
  url: '${path}/openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  persistAuthorization: false,
  displayRequestDuration: true,
  validatorUrl: null,
})
`

const assets: Record<string, string> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
}

/** The API document, and Swagger UI from the package's own files. */
export function docsController(app: App, title: string) {
  let document: string | undefined
  const render = () => JSON.stringify(describeRoutes(app.collectedRoutes, { title, version, ...introduction }))

  app.get(path, { onRequest: open }, async (_request, reply) => reply.redirect(`${path}/swagger`))

  app.get(`${path}/openapi.json`, { onRequest: open }, async (_request, reply) =>
    reply.type('application/json; charset=utf-8').send((document ??= render())),
  )

  app.get(`${path}/swagger`, { onRequest: open }, async (_request, reply) =>
    reply.type('text/html; charset=utf-8').header('content-security-policy', contentPolicy).send(page(title)),
  )

  app.get(`${path}/assets/start.js`, { onRequest: open }, async (_request, reply) =>
    reply.type('text/javascript; charset=utf-8').send(startScript),
  )

  for (const [file, type] of Object.entries(assets)) {
    const source = resolve(`swagger-ui-dist/${file}`)
    app.get(`${path}/assets/${file}`, { onRequest: open }, async (_request, reply) =>
      reply.type(type).header('cache-control', 'public, max-age=3600').send(createReadStream(source)),
    )
  }
}

const introduction = {
  description: [
    'Every answer is an envelope: `{"success": true, "data": …}` or `{"success": false, "message": …, "code": …}`.',
    'Errors come as RFC 9457 problem details to clients that accept `application/problem+json`.',
    'A single resource has an `ETag`: sent as `If-Match`, a change is made only if nobody has made another since; as `If-None-Match`, a read of what is there already is 304.',
    'Every POST takes an `Idempotency-Key`: sent again under the same one, because no answer came, it is done once.',
    'Times are ISO 8601 in UTC. Ids are UUIDs named `public_id`.',
    'Sign in, then send the access token as `Authorization: Bearer …`.',
  ].join('\n\n'),
  tags: [
    { name: 'auth', description: 'Accounts, sign-in, tokens and sessions' },
    { name: 'users', description: "One's own account" },
    { name: 'items', description: 'The example resource' },
    { name: 'health', description: 'Probes' },
  ],
  errors: { envelope: errorReply, problem: problemReply },
}
