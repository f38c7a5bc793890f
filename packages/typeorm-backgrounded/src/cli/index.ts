#!/usr/bin/env node
import { Command } from 'commander'
import { schemaCommand } from './commands/schema'
import { workerCommand } from './commands/worker'

const { version } = require('typeorm-backgrounded/package.json') as { version: string }

const program = new Command('typeorm-backgrounded')
  .description('Background jobs for TypeORM entities')
  .version(version)
  .addCommand(workerCommand())
  .addCommand(schemaCommand())

program.parseAsync().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
})
