// Loaded before anything else, in plain JavaScript, so that an old Node can still say what is wrong.
const needed = 24
const [major] = process.versions.node.split('.').map(Number)
if (major < needed) {
  console.error(
    `This needs Node.js ${needed} or later, and runs on ${process.versions.node}.\n` +
      'Start it with "npm start": npm scripts use the Node.js that "npm ci" installed. With "--omit=dev" install Node.js yourself.',
  )
  process.exit(1)
}
