#!/usr/bin/env node
// npm runs scripts through a shell, and a shell does not pass SIGTERM on to the server. So the scripts
// say "exec", which puts the server in the shell's place. Windows has neither: there this runs the command.
import { spawn } from 'node:child_process'

const [command, ...parameters] = process.argv.slice(2)
const child = spawn(command, parameters, { stdio: 'inherit', shell: true })
child.on('exit', (code) => process.exit(code ?? 1))
