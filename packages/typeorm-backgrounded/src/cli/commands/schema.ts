import { Command } from 'commander'
import type { DataSource } from 'typeorm'
import { pluginOf } from '../../plugin/attach'
import { dataSourceOption, requireOption } from '../flags'
import { loadDataSource, requireModules } from '../load-data-source'
import { missingTables, tableStatements } from '../plugin-tables'

interface Flags {
  readonly dataSource: string
  readonly check?: boolean
  readonly require: readonly string[]
}

export function schemaCommand(): Command {
  return new Command('schema')
    .description("Prints the SQL that creates the plugin's tables, and writes nothing to the database")
    .addOption(dataSourceOption())
    .option(
      '--check',
      'compare the tables with those in the database; if something is missing, list it, print the SQL that adds it, and exit 1',
    )
    .addOption(requireOption())
    .action(run)
}

async function run(flags: Flags): Promise<void> {
  // Lines that the application prints while it is loaded must not be taken for SQL.
  console.log = console.info = console.debug = console.error
  requireModules(flags.require)
  const dataSource = await loadDataSource(flags.dataSource)
  if (flags.check) return check(dataSource)
  const statements = await tableStatements(dataSource)
  const { handler } = pluginOf(dataSource).options
  const about =
    statements.length > 0
      ? `-- The tables of typeorm-backgrounded in a ${dataSource.options.type} database that has none of them yet.`
      : `-- The ${handler.name} handler needs no tables.`
  end([about, ...statements], 0)
}

async function check(dataSource: DataSource): Promise<void> {
  const { missing, statements } = await missingTables(dataSource)
  if (missing.length === 0) return end(['-- The tables of typeorm-backgrounded are as this version needs them.'], 0)
  end([...missing.map((each) => `-- ${each}`), ...statements], 1)
}

/** Exits, because something that the application has opened may keep the process alive. */
function end(lines: readonly string[], code: number): void {
  process.stdout.write([...lines, ''].join('\n'), () => process.exit(code))
}
