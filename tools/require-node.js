// Loaded before anything else, in plain JavaScript, so that an old Node can still say what is wrong.
import module from 'node:module'
import { join } from 'node:path'

const needed = 24
const [major] = process.versions.node.split('.').map(Number)
if (major < needed) {
  console.error(
    `This needs Node.js ${needed} or later, and runs on ${process.versions.node}.\n` +
      'Start it with "npm start": npm scripts use the Node.js that "npm ci" installed. With "--omit=dev" install Node.js yourself.',
  )
  process.exit(1)
}

// Compiled code is kept, and TypeScript without its types: a start takes 0.6 of the time and 20 MB less. It is
// kept here and not in the folder for temporary files, where others might put code of theirs. Coverage does not count
// code that comes from there.
if (!process.env.NODE_V8_COVERAGE) module.enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/node'))
