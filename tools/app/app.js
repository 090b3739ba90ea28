#!/usr/bin/env node
// Plain JavaScript, so that an old Node.js can still say what is wrong.
import '../require-node.js'

await import('../../src/cli.ts')
