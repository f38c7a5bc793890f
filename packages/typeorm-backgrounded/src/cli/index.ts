#!/usr/bin/env node
import { Command } from 'commander'
import { schemaCommand } from './commands/schema'
import { workerCommand } from './commands/worker'
import { oneLine } from '../reporting/one-line'
import { errorMessage } from '../reporting/safe-error'

const { version } = require('typeorm-backgrounded/package.json') as { version: string }

const program = new Command('typeorm-backgrounded')
  .description('Background jobs for TypeORM entities')
  .version(version)
  .addCommand(workerCommand())
  .addCommand(schemaCommand())

program.parseAsync().catch((error: unknown) => {
  console.error(errorMessage(error).split('\n').map(oneLine).join('\n'))
  process.exit(1)
})
