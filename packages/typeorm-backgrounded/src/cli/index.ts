#!/usr/bin/env node
import { Command } from 'commander'
import { workerCommand } from './commands/worker'

const { version } = require('typeorm-backgrounded/package.json') as { version: string }

const program = new Command('typeorm-backgrounded')
  .description('Background jobs for TypeORM entities')
  .version(version)
  .addCommand(workerCommand())

program.parseAsync().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
})
